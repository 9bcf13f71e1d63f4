// arawn.hpp without exceptions and without run-time types: what returns replies needs neither. It prints "done".
//
//     no_exceptions DIRECTORY, which has the runtime `ask`, that asks the function `f` and answers its reply
//     no_exceptions --throw, which ends where an exception would have been thrown
#include <arawn.hpp>

#include <cstdlib>
#include <iostream>

static void check(bool is_so, const char *what)
{
    if (!is_so) {
        std::cerr << what << '\n';
        std::_Exit(1);
    }
}

int main(int argc, char **argv)
{
    if (argc == 2 && std::string_view(argv[1]) == "--throw") {
        std::set_terminate([] {
            std::cerr << "terminated\n";
            std::_Exit(3);
        });
        const arawn::Executor executor(R"({"limits": {"timeout": 1}})");
    }
    const arawn::Reply wrong = arawn::call(arawn_executor_new, R"({"limits": {"timeout": 1}})");
    check(wrong.code() == "invalid_config", "a wrong configuration");
    arawn::Executor executor(arawn::call(arawn_executor_new, "{\"runtimes_dir\":" + arawn::quote(argv[1]) +
                                                                 ",\"cache_dir\":null,\"capabilities\":{"
                                                                 "\"host_functions\":[\"f\"]}}"));
    executor.host_function("f", [](std::string_view) { return "1"; });
    const arawn::Reply asked = executor.execute("ask");
    check(asked.output() == R"({"status":"ok","output":1})", "a host function");
    executor.host_function("f", [](std::string_view) { return "{"; });
    const arawn::Reply bad = executor.execute("ask");
    check(bad.raw().find("host_function_failed") != std::string::npos, "a bad output");
    check(executor.wait(executor.submit("ask")).ok(), "a job");
    check(executor.call(arawn_submit, R"({"runtime": "passthrough", "job": "a"})").ok(), "arawn_submit");
    check(executor.wait("a").ok(), "its reply");
    check(executor.execute("nobody").code() == "unknown_runtime", "an error");
    check(executor.close().ok() && !executor.close(), "the end");
    std::cout << "done\n";
}
