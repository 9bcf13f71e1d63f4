// Pipelines of arawn.hpp: run, begun, cancelled, and refused. It prints "done".
//
//     pipelines DIRECTORY, which has the runtimes `ask`, that asks the function `f` and answers its reply, `loop`, that
//     never ends, and `fails`, whose error is "no luck"
#include <arawn.hpp>

#include "check.hpp"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

const std::string passing = R"({"steps": [{"name": "a", "runtime": "passthrough", "config": {"n": 12345678901234567890}},
    {"name": "b", "runtime": "passthrough"}], "output": "b"})";
const std::string failing = R"({"steps": [{"name": "a", "runtime": "passthrough", "config": 1},
    {"name": "b", "runtime": "fails"}, {"name": "c", "runtime": "passthrough"}]})";
const std::string endless = R"({"steps": [{"name": "a", "runtime": "loop"}, {"name": "b", "runtime": "loop", "needs": []}]})";

// Asks the function `f` for each item, and may do so again where the function throws.
std::string asking(int attempts)
{
    return R"({"steps": [{"name": "each", "runtime": "lua", "for_each": "list.items", "first_index": 10,
        "config": {"script": "return function(input) return arawn.call('f', input.context.item) end"},
        "retry": {"attempts": )" + std::to_string(attempts) + "}}]}";
}

arawn::Executor executor_in(const std::string &directory)
{
    return arawn::Executor("{\"runtimes_dir\":" + arawn::quote(directory) +
                           R"(,"cache_dir":null,"capabilities":{"host_functions":["f"]}})");
}

void outputs(const arawn::Executor &executor)
{
    const std::string of_a = R"({"config":{"n": 12345678901234567890},"context":{"g":1.10}})";
    const std::string of_b = R"({"config":{},"context":{"g":1.10,"a":)" + of_a + "}}";
    const arawn::PipelineCall given{R"({"g":1.10})"};
    const arawn::Reply reply = executor.execute_pipeline(passing, given);
    CHECK(reply.output() == of_b && reply.meta().empty());
    const arawn::Reply later = executor.wait(executor.submit_pipeline(passing, given));
    CHECK(later.raw() == reply.raw());
    const arawn::Reply owned = executor.async_pipeline(passing, given).get();
    CHECK(owned.raw() == reply.raw());

    arawn::PipelineCall options;
    options.meta = true;
    const arawn::Reply with = executor.execute_pipeline(passing, options);
    CHECK(with.meta().find(R"({"name":"b","runtime":"passthrough",)") != std::string_view::npos);
    options.completed.emplace("a", "1.50");
    const arawn::Reply known = executor.execute_pipeline(passing, options);
    CHECK(known.output() == R"({"config":{},"context":{"a":1.50}})");
    CHECK(known.meta().find(R"("name":"a")") == std::string_view::npos);

    arawn::PipelineCall dry;
    dry.dry_run = true;
    const arawn::Reply plan = executor.execute_pipeline(failing, dry);
    CHECK(plan.output() == R"({"steps":[{"name":"a","needs":[]},{"name":"b","needs":["a"]},{"name":"c","needs":["b"]}],)"
                           R"("output":"c"})");
    CHECK(thrown([&] { executor.submit_pipeline(failing, dry); }) == "invalid_request");
}

void failures(const arawn::Executor &executor)
{
    const arawn::Reply failed = executor.execute_pipeline(failing);
    CHECK(failed.code() == "runtime_error" && failed.error() == "step `b`: no luck");
    CHECK(arawn::member(failed.details(), "step") == "\"b\"" && !arawn::member(failed.details(), "index"));
    CHECK(arawn::member(failed.details(), "completed") == R"(["a"])");
    // With what it needs, it goes on where it failed.
    arawn::PipelineCall options;
    options.completed = {{"b", R"("luck")"}, {"a", "1"}};
    const arawn::Reply on = executor.execute_pipeline(failing, options);
    CHECK(on.output() == R"({"config":{},"context":{"b":"luck"}})");

    // What is misspelt is refused by its path, before anything runs, also where it is submitted.
    const std::string misspelt = R"({"steps": [{"name": "a", "runtime": "passthrough", "need": []}]})";
    const arawn::Reply refused = executor.execute_pipeline(misspelt);
    CHECK(refused.code() == "invalid_request");
    CHECK(arawn::member(refused.details(), "path") == R"("pipeline.steps[0].need")");
    CHECK(thrown([&] { executor.submit_pipeline(misspelt); }) == "invalid_request");
    CHECK(executor.execute_pipeline("[]").code() == "invalid_request");
    CHECK(executor.execute_pipeline(passing, {"[]"}).code() == "invalid_request");
    CHECK(executor.execute_pipeline(passing, {"{}", {{"c", "1"}}}).code() == "invalid_request");
    CHECK(executor.execute_pipeline(passing, {"{}", {}, R"({"timeout": 1})"}).code() == "invalid_request");
    CHECK(executor.execute_pipeline(endless, {"{}", {}, arawn::Limits{50ms}}).code() == "timeout");

    // Texts that would be more than the value that they are given for.
    for (const char *text : {"", "{}}", "{},\"meta\":true", "{", "1 2"}) {
        CHECK(executor.execute_pipeline(text).code() == "invalid_json");
        CHECK(executor.execute_pipeline(passing, {text}).code() == "invalid_json");
        CHECK(executor.execute_pipeline(passing, {"{}", {}, text}).code() == "invalid_json");
        const arawn::Reply reply = executor.execute_pipeline(passing, {"{}", {{"a", text}}});
        CHECK(reply.code() == "invalid_json" && reply.error() == "`completed.a` is not one JSON value");
    }
    CHECK(executor.execute_pipeline(passing, {"{}", {{"a\":1,\"b", "1"}}}).code() == "invalid_request");
}

void tries(arawn::Executor &executor)
{
    std::atomic<int> failures{0};
    executor.host_function("f", [&failures](std::string_view item) {
        if (item == "2" && failures-- > 0)
            throw std::runtime_error("not yet");
        return std::string(item) + "0";
    });
    arawn::PipelineCall options;
    options.context = R"({"list": {"items": [1, 2, 3]}})", options.meta = true;
    failures = 2;
    const arawn::Reply reply = executor.execute_pipeline(asking(3), options);
    CHECK(reply.output() == "[10,20,30]");
    CHECK(reply.meta().find(R"("tries":5,"items":3)") != std::string_view::npos);
    failures = 2;
    const arawn::Reply failed = executor.execute_pipeline(asking(2), options);
    CHECK(failed.code() == "runtime_error" && failed.error().rfind("step `each`, item 11: ", 0) == 0);
    CHECK(arawn::member(failed.details(), "index") == "11" && arawn::member(failed.details(), "completed") == "[]");
    executor.host_function("f", nullptr);
}

// Neither step gets its answer before the other one has asked.
void at_the_same_time(arawn::Executor &executor)
{
    std::mutex mutex;
    std::condition_variable both;
    int asked = 0;
    executor.host_function("f", [&](std::string_view) {
        std::unique_lock<std::mutex> lock(mutex);
        ++asked;
        both.notify_all();
        return both.wait_for(lock, 1min, [&asked] { return asked == 2; }) ? "1" : "0";
    });
    const arawn::Reply reply = executor.execute_pipeline(R"({"steps": [{"name": "a", "runtime": "ask"},
        {"name": "b", "runtime": "ask", "needs": []},
        {"name": "both", "runtime": "transform", "config": {"mappings": {"a": "a.output", "b": "b.output"}},
         "needs": ["a", "b"]}]})");
    CHECK(reply.output() == R"({"a":1,"b":1})");
    // Or on this thread, while it waits for the pipeline.
    const std::thread::id here = std::this_thread::get_id();
    executor.host_function(
        "f", [here](std::string_view) { return std::this_thread::get_id() == here ? "2" : "0"; }, arawn::On::poll);
    const arawn::Reply polled = executor.async_pipeline(asking(1), {R"({"list": {"items": [1, 2, 3]}})"}).get();
    CHECK(polled.output() == "[2,2,2]");
    executor.host_function("f", nullptr);
}

void cancelled(arawn::Executor &executor)
{
    const auto is_cancelled = [](const arawn::Reply &reply) { return reply.code() == "cancelled"; };
    CHECK(executor.submit_pipeline(endless, {"{}", {}, "{}", "night \""}) == "night \"");
    CHECK(thrown([&] { executor.submit_pipeline(endless, {"{}", {}, "{}", "night \""}); }) == "job_exists");
    CHECK(!executor.poll("night \"", 20ms) && executor.cancel("night \"") && is_cancelled(executor.wait("night \"")));

    // One of another thread, by its name.
    std::thread other([&] { CHECK(is_cancelled(executor.execute_pipeline(endless, {"{}", {}, "{}", "there"}))); });
    while (!executor.cancel("there"))
        std::this_thread::sleep_for(1ms);
    other.join();

    // A job that nobody waits for any more ends.
    {
        const arawn::Job dropped = executor.async_pipeline(endless, {"{}", {}, "{}", "dropped"});
        CHECK(dropped.valid() && dropped.name() == "dropped");
    }
    CHECK(executor.cancel("dropped").code() == "unknown_job");
    arawn::Job job = executor.async_pipeline(endless);
    CHECK(job.cancel() && job.get().code() == "cancelled");

    job = executor.async_pipeline(passing);
    executor.close();
    CHECK(job.get().code() == "unknown_executor" && executor.execute_pipeline(passing).code() == "unknown_executor");
    CHECK(thrown([&] { executor.submit_pipeline(passing); }) == "unknown_executor");
}

} // namespace

int main(int argc, char **argv)
{
    prove(argc, argv);
    CHECK(argc == 2);
    arawn::Executor executor = executor_in(argv[1]);
    outputs(executor);
    failures(executor);
    tries(executor);
    at_the_same_time(executor);
    cancelled(executor);
    std::cout << "done\n";
}
