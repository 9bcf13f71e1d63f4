// Runs a built-in runtime through whichever library it is linked to, and prints the reply.
#include <arawn.h>

#include <iostream>
#include <string>

int main()
{
    auto print = [](char *reply) {
        std::cout << reply << "\n";
        arawn_free(reply);
    };
    print(arawn_executor_new(R"({"id": "a", "cache_dir": null, "limits": {"timeout_ms": 60000}})"));
    print(arawn_execute_runtime(R"({"executor": "a", "runtime": "passthrough", "input": {"context": {"n": 1}}})"));
    return 0;
}
