// arawn.hpp with nlohmann's JSON library: its values go in and come out. It prints "done".
//
//     nlohmann DIRECTORY, which has the runtime `ask`, that asks the function `f` and answers its reply
#include <arawn.hpp>
#include <nlohmann/json.hpp>

#include "check.hpp"

using nlohmann::json;

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    arawn::Executor executor(json{{"runtimes_dir", argv[1]},
                                  {"cache_dir", nullptr},
                                  {"capabilities", {{"host_functions", {"f"}}}}});
    const json input{{"config", {{"text", "Zoë \"🍵\"\n"}}}, {"context", {1, 2.5, nullptr}}};
    const arawn::Reply reply = executor.execute("passthrough", input);
    CHECK(json(reply) == json({{"status", "ok"}, {"output", input}}));
    CHECK(json::parse(reply.output()) == input);
    CHECK(executor.execute("passthrough", json::object()));
    CHECK(executor.execute("passthrough", nlohmann::ordered_json{{"context", 1}}));

    executor.host_function("f", [](std::string_view request) {
        json answer = json::parse(request);
        answer["seen"] = true;
        return answer;
    });
    CHECK(json(executor.execute("ask")).at("output").at("output") == json({{"from", "the guest"}, {"seen", true}}));
    executor.host_function("f", [](std::string_view request) { return json::parse(request).at("to"); });
    const std::string error = json(executor.execute("ask")).at("output").at("error");
    CHECK(error.find("key 'to' not found") != std::string::npos);

    const std::string job = executor.submit("passthrough", input, {"", json{{"fuel", nullptr}}});
    CHECK(json(executor.wait(job)).at("output") == input);
    const nlohmann::ordered_json bad = executor.execute("nobody");
    CHECK(bad.at("code") == "unknown_runtime" && bad.at("details").at("runtime") == "nobody");
    std::cout << "done\n";
}
