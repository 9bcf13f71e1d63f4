// What the C++ tests share: a check that says where it failed, and faults that prove that a sanitizer is on.
#ifndef CHECK_HPP
#define CHECK_HPP

#include <cstdlib>
#include <iostream>
#include <thread>

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            std::cerr << __FILE__ << ":" << __LINE__ << ": not so: " #condition "\n";                                  \
            std::_Exit(1);                                                                                             \
        }                                                                                                              \
    } while (false)

// The code of the arawn::Error that a call throws; empty where it throws none.
template <class Call>
std::string thrown(Call call)
{
    try {
        call();
    } catch (const arawn::Error &error) {
        CHECK(std::string(error.what()).rfind(error.code() + ": ", 0) == 0);
        return error.code();
    }
    return "";
}

// Where the argument is `--prove`: reads a reply after its release, and writes to a variable in two threads at once.
inline void prove(int argc, char **argv)
{
    if (argc != 2 || std::string_view(argv[1]) != "--prove")
        return;
    char *const reply = arawn_stats("{}");
    const volatile char *const kept = reply;
    arawn::Reply::take(reply);
    const char first = kept[0];
    // Often enough that the thread sanitizer, which may miss two accesses at the very same moment, sees some.
    volatile int shared = first;
    const auto writes = [&shared] {
        for (int i = 0; i < 10000; i++)
            shared = shared + 1;
    };
    std::thread thread(writes);
    writes();
    thread.join();
    std::exit(shared == 0 ? 1 : 0);
}

#endif
