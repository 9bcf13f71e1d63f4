// A shop and an order: an executor, `transform` on a document, a runtime that asks a function of the host, a script that
// asks it too, an edit of the script that does not parse, a call that does not block, one that is cancelled, an error,
// and the end of it all.
//
//     make example-cpp
//
// It prints:
//
//     transform: {"to":"Zoë Ångström","city":"Malmö","total":108.25,"tracking":9007199254740993}
//     stock: {"order":"2026-004711","missing":[{"sku":"CUP-0113","pieces":1}]}
//     levels: [7,1,3]
//     edit: script_invalid, line 2, column 10
//     later: {"order":"2026-004711","missing":[]}
//     never: cancelled
//     runtime_error: expression: context.customer has no key "adress" (it has: address, email, name)
#include <arawn.hpp>

#include <chrono>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>

namespace {

std::string file_text(const std::string &path)
{
    std::ifstream file(path, std::ios::binary);
    if (!file)
        throw std::runtime_error(path + " cannot be read");
    return {std::istreambuf_iterator<char>(file), {}};
}

// The registration of a script, which asks for the pieces of each article. `verb` is the first word of its line 2.
std::string levels_script(const std::string &verb)
{
    const std::string script = "export default ({ context }) => {\n  " + verb +
                               " context.items.map(({ sku }) => arawn.call('stock.level', { sku }));\n}\n";
    return R"({"name": "levels", "language": "javascript", "replace": true, "script": )" + arawn::quote(script) + "}";
}

// What the host has in stock, and how often it was asked.
struct Stock {
    std::map<std::string, int> pieces{{"TEA-0042", 7}, {"POT-0007", 1}, {"CUP-0113", 3}};
    int asked = 0;

    // What the runtime asks with {"sku":"…"}: the number of pieces. An unknown one throws, which is the guest's error.
    std::string level(std::string_view request)
    {
        ++asked;
        return std::to_string(pieces.at(arawn::unquote(arawn::member(request, "sku").value_or(""))));
    }
};

// Polls until the guest has asked some times, as a program does that has a frame to draw in between.
void draw_frames(const arawn::Executor &shop, const std::string &job, Stock &stock)
{
    for (stock.asked = 0; stock.asked < 3;)
        if (const auto early = shop.poll(job, std::chrono::milliseconds(5)))
            throw arawn::Error(*early);
}

void story()
{
    Stock stock;

    // An executor is a policy: where its runtimes are, what a call may take, and which functions guests may call.
    arawn::Executor shop(R"({"runtimes_dir": "target/example-cpp-runtimes",
                             "limits": {"timeout_ms": 10000},
                             "capabilities": {"host_functions": ["stock.level"]}})");

    // `transform` comes with the library. Here it picks from the order, which reaches it byte for byte.
    const std::string order = file_text("examples/c/document.json");
    const auto input = [&order](const std::string &config) {
        return "{\"config\":" + config + ",\"context\":" + order + "}";
    };
    const arawn::Reply picked = shop.execute("transform", input(R"({"mappings": {
        "to": "customer.name", "city": "customer.address.city", "total": "total", "tracking": "tracking_number"}})"));
    std::cout << "transform: " << picked.output() << '\n';

    // `stock` is put into the catalog. It asks the host, on the thread that runs the call.
    const arawn::Json stock_runtime = R"({"name": "stock", "path": "runtimes/prebuilt/stock.wasm", "replace": true})";
    if (const arawn::Reply registered = shop.call(arawn_catalog_register, stock_runtime); !registered)
        throw arawn::Error(registered);
    const auto level = [&stock](std::string_view request) { return stock.level(request); };
    shop.host_function("stock.level", level);
    const arawn::Reply missing = shop.execute("stock", input("{}"));
    std::cout << "stock: " << missing.output() << '\n';

    // A script is registered as its text: there is nothing to build.
    if (const arawn::Reply registered = shop.call(arawn_catalog_register, levels_script("return")); !registered)
        throw arawn::Error(registered);
    const arawn::Reply levels = shop.execute("levels", input("{}"));
    std::cout << "levels: " << levels.output() << '\n';

    // An edit that does not parse is refused with its place, and the version before it stays.
    const arawn::Reply edit = shop.call(arawn_catalog_register, levels_script("retrun"));
    std::cout << "edit: " << edit.code() << ", line " << arawn::member(edit.details(), "line").value_or("?")
              << ", column " << arawn::member(edit.details(), "column").value_or("?") << '\n';

    // Without blocking, until nothing is missing: from now on it asks within poll and wait, on this thread, so that the
    // stock needs no lock.
    shop.host_function("stock.level", level, arawn::On::poll);
    const std::string later = shop.submit("stock", input(R"({"wait": true})"));
    draw_frames(shop, later, stock);
    stock.pieces["CUP-0113"] = 4; // A delivery.
    const arawn::Reply delivered = shop.wait(later);
    std::cout << "later: " << delivered.output() << '\n';

    // Nobody brings more tea: this one would wait until its deadline, and is cancelled.
    stock.pieces["TEA-0042"] = 0;
    const std::string never = shop.submit("stock", input(R"({"wait": true})"));
    draw_frames(shop, never, stock);
    shop.cancel(never);
    std::cout << "never: " << shop.wait(never).code() << '\n';

    // What is wrong is a reply as well: a text for people, a code for programs. Its output() would throw.
    const arawn::Reply reply = shop.execute("transform", input(R"({"expression": "customer.adress"})"));
    if (!reply)
        std::cout << reply.code() << ": " << reply.error() << '\n';

    // The executor closes itself before the stock goes, which its host function uses.
}

} // namespace

int main()
{
    try {
        story();
    } catch (const std::exception &error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
