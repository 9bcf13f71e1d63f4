// arawn.hpp on the library: replies, executors and jobs. It prints "done".
//
//     api DIRECTORY, which has the runtimes `loop`, that never ends, and `fails`, whose error is "no\n\"luck\""
#include <arawn.hpp>

#include "check.hpp"

#include <atomic>
#include <thread>
#include <type_traits>

using namespace std::chrono_literals;
using namespace std::string_literals;

std::string second(const arawn::Executor &executor);

template <class T>
constexpr bool moves = std::is_nothrow_move_constructible_v<T> && std::is_nothrow_move_assignable_v<T>;
static_assert(moves<arawn::Executor> && moves<arawn::Reply> && moves<arawn::Json> && moves<arawn::Finished>);
static_assert(!std::is_copy_constructible_v<arawn::Executor> && !std::is_copy_assignable_v<arawn::Executor>);
static_assert(std::is_nothrow_copy_constructible_v<arawn::Error>);
static_assert(!std::is_constructible_v<arawn::Json, std::nullptr_t>);

static std::string config(const std::string &directory, const std::string &more = "")
{
    return "{\"runtimes_dir\":" + arawn::quote(directory) + ",\"cache_dir\":null" + more + "}";
}

static void replies(const arawn::Executor &executor)
{
    const arawn::Reply good = executor.execute("passthrough", R"({"context": {"text": "Zoë", "n": 9007199254740993}})");
    CHECK(good && good.ok() && good.status() == "ok");
    CHECK(good.output() == R"({"config":{},"context":{"text": "Zoë", "n": 9007199254740993}})");
    CHECK(good.code().empty() && good.error().empty() && good.details().empty() && good.meta().empty());
    CHECK(good.raw().rfind("{\"status\":\"ok\"", 0) == 0);
    const arawn::Reply empty = executor.execute("passthrough");
    CHECK(empty.output() == R"({"config":{},"context":{}})");
    CHECK(second(executor) == R"({"config":{},"context":2})");

    const arawn::Reply bad = executor.execute("fails");
    CHECK(!bad && bad.status() == "error" && bad.code() == "runtime_error");
    CHECK(bad.error() == "no\n\"luck\"");
    CHECK(arawn::member(bad.details(), "stderr") == "\"\"");
    CHECK(thrown([&] { bad.output(); }) == "runtime_error");
    CHECK(executor.execute("loop", "{}", {"", R"({"timeout_ms": 50})"}).code() == "timeout");
    CHECK(executor.execute("pasthrough").code() == "unknown_runtime");

    const arawn::Reply with = executor.execute("passthrough", "{}", {"", "{}", true});
    CHECK(arawn::unquote(arawn::member(with.meta(), "runtime").value_or("")) == "passthrough");

    // Texts that would be more than the value that they are given for.
    for (const char *text : {"", "{}}", "{},\"meta\":true", "{},\"runtime\":\"fails\"", "{", "\"", "1 2"})
        CHECK(executor.execute("passthrough", text).code() == "invalid_json");
    CHECK(executor.execute("passthrough", "[1,}").code() == "invalid_json");
    CHECK(executor.execute("passthrough", "{}", {"", "{},\"meta\":true"}).code() == "invalid_json");
    CHECK(executor.execute("passthrough", "\"\0\""s).code() == "invalid_argument");
    CHECK(executor.execute("passthrough", "\"\xff\"").code() == "invalid_argument");
    CHECK(executor.execute("passthrough\",\"meta\":true,\"x\":\"").code() == "unknown_runtime");
    CHECK(executor.execute("\xff").code() == "invalid_argument");
    CHECK(executor.execute("\0"s).code() == "unknown_runtime");
    CHECK(executor.call(arawn_catalog_register, "[]").code() == "invalid_json");
    CHECK(executor.call(arawn_catalog_register, " { } ").code() == "invalid_request");
    CHECK(executor.call(arawn_catalog_register, R"({"executor": "x"})").code() == "invalid_request");
    const arawn::Reply figures = executor.call(arawn_stats), all = arawn::stats();
    CHECK(arawn::member(figures.output(), "executor") && arawn::member(all.output(), "executors"));
    CHECK(!arawn::configure("{}"));
    // What is misspelt is refused, with what is known.
    const arawn::Reply misspelt = executor.execute("passthrough", R"({"contxt": {}})");
    CHECK(misspelt.code() == "invalid_request" && misspelt.error().find("contxt") != std::string::npos);
    CHECK(misspelt.error().find("context") != std::string::npos);
    CHECK(executor.execute("passthrough", "{}", {"", R"({"timeout": 1})"}).code() == "invalid_request");
    CHECK(executor.call(arawn_executor_close).code() == "invalid_request" && executor.execute("passthrough"));
    CHECK(arawn::call(arawn_stats, "[]").code() == "invalid_request");
    CHECK(arawn::version() == arawn_version());
}

static void catalog(const std::string &directory)
{
    const arawn::Executor executor(config(directory));
    const arawn::Reply list = executor.call(arawn_catalog_list);
    CHECK(list.raw().find("\"fails\"") != std::string::npos);
    const std::string path = arawn::quote(directory + "/custom/fails.wasm");
    CHECK(executor.call(arawn_catalog_register, " {\"name\": \"copy\", \"path\": " + path + "} \n"));
    const arawn::Reply shown = executor.call(arawn_catalog_inspect, R"({"name": "copy"})");
    CHECK(arawn::unquote(arawn::member(shown.output(), "name").value_or("")) == "copy");
    CHECK(executor.execute("copy").code() == "runtime_error");
    CHECK(executor.call(arawn_catalog_remove, R"({"name": "copy"})"));
    CHECK(executor.execute("copy").code() == "unknown_runtime");

    const std::string entry = "{\"name\": \"copy\", \"timeout_ms\": 300000, \"path\": " + path + "}";
    CHECK(executor.submit_registration(entry, "r-1") == "r-1");
    const arawn::Reply registered = executor.wait("r-1");
    CHECK(registered && arawn::member(registered.output(), "name") == R"("copy")");
    CHECK(executor.wait(executor.submit_registration(entry)).code() == "runtime_exists");
    CHECK(thrown([&] { executor.submit_registration(R"({"name": "copy", "timeout_ms": 0, "path": "a"})"); }) ==
          "invalid_request");
    CHECK(executor.call(arawn_catalog_remove, R"({"name": "copy"})"));
}

static void scripts(const std::string &directory)
{
    const arawn::Executor executor(config(directory));
    const auto entry = [](const std::string &script) {
        return R"({"name": "twice", "language": "lua", "replace": true, "script": )" + arawn::quote(script) + "}";
    };
    CHECK(executor.call(arawn_catalog_register, entry("return function(i) return i.context.n * 2 end\n")));
    const arawn::Reply doubled = executor.execute("twice", R"({"context": {"n": 21}})");
    CHECK(doubled.raw() == R"({"status":"ok","output":42})");
    const arawn::Reply broken = executor.call(arawn_catalog_register, entry("return\n  function("));
    CHECK(broken.code() == "script_invalid" && arawn::member(broken.details(), "line") == "2");
    const std::string job = executor.submit_registration(entry("return function() return 'new' end"));
    const arawn::Reply registered = executor.wait(job);
    CHECK(registered && arawn::member(registered.output(), "language") == R"("lua")");
    const arawn::Reply replaced = executor.execute("twice");
    CHECK(replaced.raw() == R"({"status":"ok","output":"new"})");
    CHECK(executor.call(arawn_catalog_remove, R"({"name": "twice"})"));
}

static void executors(const std::string &directory)
{
    CHECK(thrown([] { arawn::Executor wrong(R"({"limits": {"timeout": 1}})"); }) == "invalid_config");
    CHECK(thrown([] { arawn::Executor wrong("\0"s); }) == "invalid_argument");
    const std::string named = config(directory, R"(,"id": "named \" é")");
    for (int i = 0; i < 3; i++) {
        arawn::Executor one(named);
        CHECK(one.id() == "named \" é");
        CHECK(thrown([&] { arawn::Executor two(named); }) == "executor_exists");
        arawn::Executor moved(std::move(one));
        CHECK(moved.execute("passthrough") && moved.id() == "named \" é");
        CHECK(one.id().empty() && one.execute("passthrough").code() == "unknown_executor");
        CHECK(one.close().code() == "unknown_executor");
        CHECK(thrown([&] { one.submit("passthrough"); }) == "unknown_executor");
        CHECK(thrown([&] { one.finished(); }) == "unknown_executor");
        CHECK(one.poll("a")->code() == "unknown_executor" && one.wait("a").code() == "unknown_executor");
        CHECK(thrown([&] { one.host_function("f", nullptr); }) == "unknown_executor");
        // What is assigned to is closed first.
        arawn::Executor other(config(directory));
        const std::string id = other.id();
        other = std::move(moved);
        CHECK(other.execute("passthrough"));
        CHECK(arawn::call(arawn_stats, "{\"executor\":" + arawn::quote(id) + "}").code() == "unknown_executor");
        arawn::Executor &same = other;
        other = std::move(same);
        CHECK(other.execute("passthrough"));
        // It is closed once, and then does not take what another one of its name would answer.
        if (i == 1) {
            CHECK(other.close().ok() && other.close().code() == "unknown_executor" && other.id().empty());
            const arawn::Executor next(named);
            const auto is_closed = [](const arawn::Reply &reply) {
                return reply.code() == "unknown_executor" && reply.details() == R"({"executor":"named \" é"})" &&
                       reply.error() == R"(the executor "named \" é" is closed)";
            };
            CHECK(is_closed(other.close()) && is_closed(other.execute("passthrough")) && is_closed(other.cancel("a")));
            CHECK(is_closed(other.wait("a")) && is_closed(other.call(arawn_catalog_list)));
            CHECK(thrown([&] { other.host_function("f", nullptr); }) == "unknown_executor");
            CHECK(next.execute("passthrough"));
        }
    }
    // One that was made otherwise is taken over.
    CHECK(thrown([] { arawn::Executor wrong(arawn::call(arawn_executor_new, "[]")); }) == "invalid_config");
    const arawn::Reply opened = arawn::call(arawn_executor_new, named);
    CHECK(arawn::Executor(opened).id() == "named \" é");
    CHECK(arawn::call(arawn_executor_close, R"({"executor": "named \" é"})").code() == "unknown_executor");
}

static void jobs(const std::string &directory)
{
    const arawn::Executor executor(config(directory));
    CHECK(executor.submit("passthrough", R"({"context": 1})", {"a \"", "{}"}) == "a \"");
    CHECK(thrown([&] { executor.submit("passthrough", "{}", {"a \"", "{}"}); }) == "job_exists");
    const arawn::Reply first = executor.wait("a \"");
    CHECK(first.output() == R"({"config":{},"context":1})");
    CHECK(executor.wait("a \"").code() == "unknown_job" && executor.cancel("a \"").code() == "unknown_job");

    const std::string endless = executor.submit("loop");
    CHECK(!executor.poll(endless) && !executor.poll(endless, 20ms) && !executor.poll(endless, -1h));
    CHECK(executor.cancel(endless));
    CHECK(executor.wait(endless).code() == "cancelled");

    const std::string fails = executor.submit("fails");
    std::optional<arawn::Reply> reply;
    while (!(reply = executor.poll(fails, std::chrono::hours(1000)))) {}
    CHECK(reply->code() == "runtime_error");
    CHECK(executor.wait(executor.submit("unknown")).code() == "unknown_runtime");
    CHECK(thrown([&] { executor.submit("loop", "{"); }) == "invalid_json");

    // A call of another thread, by its name.
    std::thread other([&] { CHECK(executor.execute("loop", "{}", {"there", "{}"}).code() == "cancelled"); });
    while (!executor.cancel("there"))
        std::this_thread::sleep_for(1ms);
    other.join();

    // All that have ended, once.
    for (int i = 0; i < 4; i++)
        executor.submit("passthrough", "{\"context\":" + std::to_string(i) + "}", {"\n" + std::to_string(i)});
    std::vector<arawn::Finished> all;
    while (all.size() < 4)
        for (arawn::Finished &finished : executor.finished(1s))
            all.push_back(std::move(finished));
    for (const arawn::Finished &finished : all)
        CHECK(finished.reply.output() == R"({"config":{},"context":)" + finished.job.substr(1) + "}");
    CHECK(executor.finished().empty() && executor.finished(1ms).empty());
}

// While other threads call, wait and close it too: each is told, one closes it.
static void closed_meanwhile(const std::string &directory)
{
    for (int i = 0; i < 20; i++) {
        arawn::Executor executor(config(directory));
        const std::string job = executor.submit("loop", "{}", {"", R"({"timeout_ms": 10})"});
        std::atomic<int> closed{0};
        std::vector<std::thread> threads;
        threads.emplace_back([&] {
            const std::string code = executor.wait(job).code();
            CHECK(code == "unknown_executor" || code == "timeout" || code == "overloaded");
        });
        threads.emplace_back([&] {
            while (executor.execute("passthrough")) {}
        });
        for (int closer = 0; closer < 2; closer++)
            threads.emplace_back([&] {
                std::this_thread::sleep_for(std::chrono::milliseconds(i));
                closed += executor.close().ok() ? 1 : 0;
            });
        for (std::thread &thread : threads)
            thread.join();
        CHECK(closed == 1);
    }
}

// A job is owned, may outlive its executor, and cancels what nobody waits for any more.
static void owned_jobs(const std::string &directory)
{
    static_assert(moves<arawn::Job> && !std::is_copy_constructible_v<arawn::Job>);
    arawn::Executor executor(config(directory));
    arawn::Job job = executor.async("passthrough", R"({"context": 1})", {"", arawn::Limits{20s}, true});
    CHECK(job.valid() && !job.name().empty());
    const arawn::Reply reply = job.get();
    CHECK(reply.output() == R"({"config":{},"context":1})" && !reply.meta().empty());
    CHECK(!job.valid() && job.get().code() == "unknown_job" && job.cancel().code() == "unknown_job");

    {
        arawn::Job dropped = executor.async("loop", "{}", {"named", "{}", false});
        arawn::Job moved = std::move(dropped);
        CHECK(!dropped.valid() && moved.valid() && moved.name() == "named");
        CHECK(!moved.get_for(0ms));
    }
    CHECK(executor.cancel("named").code() == "unknown_job" && executor.finished().empty());
    job = executor.async("loop");
    CHECK(job.cancel().ok() && job.get().code() == "cancelled");
    CHECK(executor.execute("loop", "{}", {"", arawn::Limits{50ms}, false}).code() == "timeout");
    CHECK(thrown([&] { executor.async("passthrough", "{}", {"", R"({"timeout": 1})", false}); }) == "invalid_request");

    job = executor.async("passthrough");
    executor.close();
    CHECK(job.get().code() == "unknown_executor");
}

static void registrations(const std::string &directory)
{
    arawn::Executor executor(config(directory));
    arawn::Registration script;
    script.name = "twice", script.script = "return function(i) return i.context * 2 end", script.language = "lua";
    script.description = "two \"times\"", script.replace = true, script.timeout = 300s;
    script.config_schema = R"({"type": "object"})";
    const arawn::Reply shown = executor.register_runtime(script);
    CHECK(shown && arawn::member(shown.output(), "kind") == "\"script\"");
    const arawn::Reply doubled = executor.execute("twice", R"({"context": 21})");
    CHECK(doubled.output() == "42");
    CHECK(executor.execute("twice", R"({"config": 1})").code() == "invalid_request");
    const arawn::Reply inspected = executor.inspect("twice");
    CHECK(arawn::unquote(arawn::member(inspected.output(), "description").value_or("")) == script.description);
    const arawn::Reply listed = executor.list(), figures = executor.stats();
    CHECK(listed.output().find("\"twice\"") != std::string_view::npos);
    CHECK(arawn::member(figures.output(), "executor").has_value());
    script.config_schema = R"({},"args":[])";
    CHECK(executor.register_runtime(script).code() == "invalid_json");
    CHECK(executor.remove("twice").ok() && executor.inspect("twice").code() == "unknown_runtime");
    CHECK(executor.register_runtime(R"({"name": "x", "pth": "x.wasm"})").code() == "invalid_request");

    // The smallest module that runs: it exports a function _start and a memory.
    arawn::Registration module;
    module.name = "bytes", module.replace = true, module.args = {"-v", "\""}, module.env = {{"A\"", "1"}, {"B", "2"}};
    module.wasm = {0, 'a', 's', 'm', 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 5, 3, 1, 0, 1, 7, 19, 2, 6, 'm', 'e', 'm',
                   'o', 'r', 'y', 2, 0, 6, '_', 's', 't', 'a', 'r', 't', 0, 0, 10, 4, 1, 2, 0, 0x0b};
    const arawn::Reply added = executor.register_runtime(module);
    CHECK(added && arawn::member(added.output(), "bytes") == std::to_string(module.wasm.size()));
    CHECK(arawn::member(added.output(), "args") == R"(["-v","\""])");
    CHECK(executor.execute("bytes").code() == "malformed_output");
    const arawn::Reply submitted = executor.wait(executor.submit_registration(module));
    CHECK(submitted.ok() && executor.remove("bytes").ok());
    for (std::size_t length = 0; length < 5; ++length) {
        static const char *const texts[] = {"", "AA==", "AAE=", "AAEC", "AAECAw=="};
        static const unsigned char bytes[] = {0, 1, 2, 3};
        CHECK(arawn::detail::base64({bytes, bytes + length}) == texts[length]);
    }
}

int main(int argc, char **argv)
{
    prove(argc, argv);
    CHECK(argc == 2);
    CHECK(arawn::configure(R"({"workers": 2})"));
    {
        arawn::Executor executor(config(argv[1]));
        replies(executor);
    }
    catalog(argv[1]);
    scripts(argv[1]);
    executors(argv[1]);
    jobs(argv[1]);
    closed_meanwhile(argv[1]);
    owned_jobs(argv[1]);
    registrations(argv[1]);
    std::cout << "done\n";
}
