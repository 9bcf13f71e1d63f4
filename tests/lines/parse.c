/* The other unit of traps.c. */
__attribute__((noinline)) int parse(const int *rows, int row) {
    const int *far = rows + row * 4 + (1 << 28);
    return *far; /* line: parse */
}
