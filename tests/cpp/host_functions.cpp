// Host functions of arawn.hpp: what they answer and throw, on which thread they run and how long they live. It prints
// "done".
//
//     host_functions DIRECTORY, which has the runtimes `ask`, that asks the function `f` and answers its reply, and
//     `writes`, that writes "first" and "last" to stderr
#include <arawn.hpp>

#include "check.hpp"

#include <atomic>
#include <memory>
#include <thread>

#include <poll.h>

using namespace std::chrono_literals;

namespace {

std::string config(const std::string &directory)
{
    return "{\"runtimes_dir\":" + arawn::quote(directory) +
           ",\"cache_dir\":null,\"capabilities\":{\"host_functions\":[\"f\",\"g\"]}}";
}

std::string ask(const arawn::Executor &executor)
{
    const arawn::Reply reply = executor.execute("ask");
    return std::string(reply.output());
}

void answers(arawn::Executor &executor)
{
    CHECK(ask(executor).find("host_function_failed") != std::string::npos);
    executor.host_function("f", [](std::string_view request) { return std::string(request); });
    CHECK(ask(executor) == R"({"status":"ok","output":{"from":"the guest"}})");
    executor.host_function("f", [](std::string_view) { return "[1, 2]"; });
    CHECK(ask(executor) == R"({"status":"ok","output":[1, 2]})");
    using namespace std::string_literals;
    for (const std::string &other : {""s, "{"s, "1,\"code\":2"s, "1}"s, "nul"s, "\"\0\""s, "\"\xff\""s}) {
        executor.host_function("f", [&other](std::string_view) { return other; });
        CHECK(ask(executor).find("host_function_failed") != std::string::npos);
    }
    const std::function<std::string(std::string_view)> plain = [](std::string_view) { return "3"; };
    executor.host_function("f", plain);
    CHECK(ask(executor) == R"({"status":"ok","output":3})");
}

// What is thrown reaches the guest, which goes on.
void exceptions(arawn::Executor &executor)
{
    executor.host_function("f", [](std::string_view) -> std::string { throw std::runtime_error("no \"door\"\n"); });
    CHECK(ask(executor).rfind(R"({"status":"error","error":"no \"door\"\u000a","code":)", 0) == 0);
    executor.host_function("f", [](std::string_view) -> std::string { throw std::runtime_error("\xff"); });
    CHECK(ask(executor).find("host_function_failed") != std::string::npos);
    executor.host_function("f", [](std::string_view) -> std::string { throw 42; });
    CHECK(ask(executor).find("host_function_failed") != std::string::npos);
    executor.host_function("f", [&](std::string_view) {
        const arawn::Reply reply = executor.execute("nobody");
        return reply.output();
    });
    CHECK(ask(executor).find("\"code\":\"unknown_runtime\"") != std::string::npos);
    CHECK(thrown([&] { executor.host_function("h", [](std::string_view) { return "1"; }); }) == "invalid_request");
}

// A function lives until it is replaced, unset, or its executor is closed.
void lifetimes(const std::string &directory)
{
    const auto owned = std::make_shared<int>(1);
    const auto owner = [](const std::shared_ptr<int> &value) {
        return [value](std::string_view) { return std::to_string(*value); };
    };
    {
        arawn::Executor executor(config(directory));
        executor.host_function("f", owner(owned));
        executor.host_function("g", owner(owned));
        CHECK(owned.use_count() == 3);
        executor.host_function("f", owner(owned));
        CHECK(owned.use_count() == 3);
        executor.host_function("g", nullptr);
        CHECK(owned.use_count() == 2);
        CHECK(thrown([&] { executor.host_function("h", owner(owned)); }) == "invalid_request");
        CHECK(owned.use_count() == 2);
        arawn::Executor moved = std::move(executor);
        CHECK(ask(moved) == R"({"status":"ok","output":1})");
        moved.host_function("f", nullptr);
        CHECK(owned.use_count() == 1);
        CHECK(ask(moved).find("has not set it") != std::string::npos);
        moved.host_function("f", owner(owned));
        moved.host_function("f", owner(owned), arawn::On::poll);
        CHECK(owned.use_count() == 2);
        moved.host_function("f", nullptr);
        CHECK(owned.use_count() == 1);
        moved.host_function("f", owner(owned));
        CHECK(moved.close() && owned.use_count() == 1);
        CHECK(thrown([&] { moved.host_function("f", owner(owned)); }) == "unknown_executor");
        CHECK(owned.use_count() == 1);
    }
    {
        arawn::Executor executor(config(directory));
        executor.host_function("f", owner(owned));
    }
    CHECK(owned.use_count() == 1);

    // Replaced from within, the old one goes on with what it has.
    arawn::Executor executor(config(directory));
    const auto replacing = [&executor, owned](std::string_view) {
        executor.host_function("f", [](std::string_view) { return "2"; });
        return std::to_string(*owned);
    };
    executor.host_function("f", replacing);
    CHECK(ask(executor) == R"({"status":"ok","output":1})");
    CHECK(ask(executor) == R"({"status":"ok","output":2})");
}

// Closed from within, too; and what it uses may use the library when it goes.
void closed_from_within(const std::string &directory)
{
    auto executor = std::make_unique<arawn::Executor>(config(directory));
    const std::string text(1000, 'x');
    executor->host_function("f", [&executor, text](std::string_view) {
        executor.reset();
        return arawn::quote(text);
    });
    const arawn::Executor &same = *executor;
    const arawn::Reply reply = same.execute("ask");
    CHECK(reply.output().find(text) != std::string::npos);
    CHECK(!executor);

    arawn::Executor other(config(directory));
    int calls = 0;
    const auto uses = [&other, &calls](int *) {
        other.execute("passthrough");
        CHECK(thrown([&] { other.host_function("g", nullptr); }) == (++calls == 3 ? "unknown_executor" : ""));
    };
    for (int i = 0; i < 3; i++) {
        const auto value = std::make_shared<int>(i);
        other.host_function("f", [held = std::shared_ptr<int>(value.get(), uses), value](std::string_view) {
            return std::to_string(*held);
        });
        CHECK(calls == i && ask(other).find(std::to_string(i)) != std::string::npos);
    }
    CHECK(other.close() && calls == 3);
}

// Those for polls run on the thread that polls, and nowhere else.
void polls(const std::string &directory)
{
    arawn::Executor executor(config(directory));
    int calls = 0;
    const auto thread = std::this_thread::get_id();
    const auto count = [&calls, thread](std::string_view) {
        CHECK(std::this_thread::get_id() == thread);
        return std::to_string(++calls);
    };
    executor.host_function("f", count, arawn::On::poll);
    const arawn::Reply reply = executor.wait(executor.submit("ask"));
    CHECK(reply.output() == R"({"status":"ok","output":1})");
    executor.submit("ask");
    while (executor.finished(1s).empty()) {}
    executor.submit("ask", "{}", {"a", "{}"});
    while (!executor.poll("a")) {}
    CHECK(calls == 3);
}

// Answers that come later, from another thread and from within; what calls that are over are told.
void deferred(const std::string &directory)
{
    arawn::Executor executor(config(directory));
    std::string last;
    const auto within = [&](std::string_view call, std::string_view request) -> std::optional<arawn::Json> {
        CHECK(call.substr(0, 2) == "c-" && request == R"({"from":"the guest"})");
        last = call;
        CHECK(executor.host_reply(call, "{").code() == "invalid_json");
        CHECK(executor.host_reply(call, "[1, 2]"));
        CHECK(executor.host_reply(call, "3").code() == "unknown_call");
        return std::nullopt;
    };
    executor.deferred_host_function("f", within);
    CHECK(ask(executor) == R"({"status":"ok","output":[1, 2]})");
    CHECK(executor.host_error(last, "late").code() == "unknown_call");
    CHECK(executor.host_reply("\"", "1").code() == "unknown_call");
    executor.deferred_host_function("f", [](std::string_view, std::string_view) { return "4"; });
    CHECK(ask(executor) == R"({"status":"ok","output":4})");
    executor.deferred_host_function("f", [](std::string_view, std::string_view) -> std::optional<arawn::Json> {
        throw std::runtime_error("no door");
    });
    CHECK(ask(executor).find("no door") != std::string::npos);

    // What it was replaced by gets what its own kind gets, and so does what that is replaced by.
    executor.host_function("f", [](std::string_view request) { return std::string(request); });
    CHECK(ask(executor) == R"({"status":"ok","output":{"from":"the guest"}})");
    const auto owned = std::make_shared<int>(1);
    const auto owner = [owned](std::string_view, std::string_view) { return std::to_string(*owned); };
    for (const arawn::On on : {arawn::On::call, arawn::On::poll})
        executor.deferred_host_function("f", owner, on);
    CHECK(owned.use_count() == 3);
    executor.deferred_host_function("f", nullptr);
    CHECK(owned.use_count() == 2);
    CHECK(ask(executor).find("has not set it") != std::string::npos);
    CHECK(thrown([&] { executor.deferred_host_function("h", owner); }) == "invalid_request");

    executor.close();
    CHECK(executor.host_reply("c-1", "1").code() == "unknown_executor");
    CHECK(thrown([&] { executor.poll_descriptor(); }) == "unknown_executor");
}

// An event loop runs the functions and takes the replies, and other threads answer.
void event_loop(const std::string &directory)
{
    arawn::Executor executor(config(directory));
    std::vector<std::thread> threads;
    const auto thread = std::this_thread::get_id();
    const auto later = [&](std::string_view call, std::string_view) {
        CHECK(std::this_thread::get_id() == thread);
        threads.emplace_back([&executor, call = std::string(call)] {
            CHECK(call.back() % 2 == 0 ? executor.host_error(call, "no \"door\"") : executor.host_reply(call, "5"));
        });
        return std::nullopt;
    };
    executor.deferred_host_function("f", later, arawn::On::poll);
    pollfd watched{executor.poll_descriptor(), POLLIN, 0};
    CHECK(executor.poll_descriptor() == watched.fd && poll(&watched, 1, 0) == 0);
    std::size_t ended = 0;
    for (int i = 0; i < 20; i++)
        executor.submit("ask");
    while (ended < 20) {
        CHECK(poll(&watched, 1, 60000) == 1);
        for (const arawn::Finished &job : executor.finished()) {
            const std::string output(job.reply.output());
            CHECK(output == R"({"status":"ok","output":5})" || output == R"({"status":"error","error":"no \"door\""})");
            ended++;
        }
    }
    for (std::thread &answering : threads)
        answering.join();
    CHECK(threads.size() == 20 && poll(&watched, 1, 0) == 0);
}

// The lines of a guest's stderr come before its reply.
void stderr_lines(const std::string &directory)
{
    const std::string rest = config(directory).substr(1);
    CHECK(thrown([&] { arawn::Executor other("{\"stderr_to\":\"h\"," + rest); }) == "invalid_config");
    arawn::Executor executor("{\"stderr_to\":\"f\"," + rest);
    std::string lines;
    const auto keep = [&lines](std::string_view line) {
        lines += line;
        return "null";
    };
    executor.host_function("f", keep, arawn::On::poll);
    executor.submit("writes", "{}", {"a", "{}"});
    CHECK(executor.wait("a"));
    CHECK(lines == R"({"runtime":"writes","job":"a","line":"first"}{"runtime":"writes","job":"a","line":"last"})");
}

// Functions are replaced, and what they use is freed, while other threads ask.
void many_threads(const std::string &directory)
{
    arawn::Executor executor(config(directory));
    std::atomic<bool> is_over{false};
    std::vector<std::thread> threads;
    const auto set = [&executor](int version) {
        auto value = std::make_unique<int>(version);
        executor.host_function("f", [value = std::shared_ptr<int>(std::move(value))](std::string_view) {
            return std::to_string(*value);
        });
    };
    set(0);
    for (int i = 0; i < 3; i++)
        threads.emplace_back([&] {
            while (!is_over) {
                CHECK(ask(executor).rfind(R"({"status":"ok","output":)", 0) == 0);
                CHECK(executor.wait(executor.submit("ask")));
            }
        });
    for (int version = 1; version <= 50; version++) {
        set(version);
        std::atomic<int> local{version};
        executor.host_function("f", [&local](std::string_view) { return std::to_string(++local); });
        set(version);
    }
    is_over = true;
    for (std::thread &thread : threads)
        thread.join();
    CHECK(ask(executor) == R"({"status":"ok","output":50})");
}

} // namespace

int main(int argc, char **argv)
{
    prove(argc, argv);
    CHECK(argc == 2);
    {
        arawn::Executor executor(config(argv[1]));
        answers(executor);
        exceptions(executor);
    }
    lifetimes(argv[1]);
    closed_from_within(argv[1]);
    polls(argv[1]);
    deferred(argv[1]);
    event_loop(argv[1]);
    stderr_lines(argv[1]);
    many_threads(argv[1]);
    std::cout << "done\n";
}
