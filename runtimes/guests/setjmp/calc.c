/*
 * Computes `context.expression`: whole numbers, + - * / and parentheses. What is wrong with one is found deep inside of the
 * parser, which leaves by longjmp: in WebAssembly, by an exception.
 */
#include "../c/json.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

static char input[65536];
static const char *at;
static uint32_t next;
static jmp_buf failed;
static const char *problem;

static _Noreturn void fail(const char *text)
{
    problem = text;
    longjmp(failed, 1);
}

/* Goes to the next character of the string that is not a space; a quote ends it. */
static void advance(void)
{
    do {
        if (*at == '"')
            next = 0;
        else
            at = json_char(at, &next);
    } while (next == ' ');
}

static long long sum(void);

static long long number(void)
{
    long long value = 0;
    if (next == '(') {
        advance();
        value = sum();
        if (next != ')')
            fail("a parenthesis is not closed");
        advance();
        return value;
    }
    if (next == '-') {
        advance();
        return -number();
    }
    if (next < '0' || next > '9')
        fail("a number is missing");
    for (; next >= '0' && next <= '9'; advance())
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, next - '0', &value))
            fail("a number is too large");
    return value;
}

static long long product(void)
{
    long long value = number();
    while (next == '*' || next == '/') {
        int divides = next == '/';
        advance();
        long long by = number();
        if (divides && by == 0)
            fail("a division by zero");
        if (divides ? by == -1 && __builtin_sub_overflow(0, value, &value) : __builtin_mul_overflow(value, by, &value))
            fail("the result is too large");
        if (divides && by != -1)
            value /= by;
    }
    return value;
}

static long long sum(void)
{
    long long value = product();
    while (next == '+' || next == '-') {
        int subtracts = next == '-';
        advance();
        long long by = product();
        if (subtracts ? __builtin_sub_overflow(value, by, &value) : __builtin_add_overflow(value, by, &value))
            fail("the result is too large");
    }
    return value;
}

static long long all(void)
{
    size_t size = fread(input, 1, sizeof input - 1, stdin);
    input[size] = '\0';
    if (!json_check(input))
        fail("the input is not JSON, or longer than 64 KiB");
    at = json_member(json_member(input, "context"), "expression");
    if (!at || *at++ != '"')
        fail("context.expression must be a string");
    advance();
    long long value = sum();
    if (next != 0)
        fail("an operator is missing");
    return value;
}

int main(void)
{
    if (setjmp(failed) != 0) {
        printf("{\"status\":\"error\",\"error\":\"%s\"}", problem);
        return 1;
    }
    printf("{\"status\":\"ok\",\"output\":%lld}", all());
    return 0;
}
