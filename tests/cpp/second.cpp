// A second translation unit of api.cpp: the header may be in any number of them, and more than once in each.
#include <arawn.hpp>
#include <arawn.hpp>

std::string second(const arawn::Executor &executor);

std::string second(const arawn::Executor &executor)
{
    const arawn::Reply reply = executor.execute("passthrough", R"({"context": 2})");
    return std::string(reply.output());
}
