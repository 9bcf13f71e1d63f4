// A second translation unit of api.cpp: the header may be in any number of them, and more than once in each.
#include <arawn.hpp>
#include <arawn.hpp>

std::string second(const arawn::Executor &executor);

std::string second(const arawn::Executor &executor)
{
    return std::string(executor.execute("passthrough", R"({"context": 2})").output());
}
