// The header's own JSON: texts, members, and what is told apart from its neighbours. It prints "done".
#include <arawn.hpp>

#include "check.hpp"

using arawn::member;
using arawn::quote;
using arawn::unquote;
using namespace std::string_literals;

static void texts()
{
    CHECK(quote("") == "\"\"");
    CHECK(quote("a\"b\\c/\n\x01\x1f\x7fé"s + '\0') == "\"a\\\"b\\\\c/\\u000a\\u0001\\u001f\x7fé\\u0000\"");
    CHECK(unquote(R"("")").empty());
    CHECK(unquote(R"("a\"\\\/\b\f\n\r\tz")") == "a\"\\/\b\f\n\r\tz");
    CHECK(unquote(R"("\u0041\u00e9\u20AC\ud83c\udf75")") == "Aé€🍵");
    CHECK(unquote(R"("\u0000")") == "\0"s);
    CHECK(unquote("\"Zoë 🍵\"") == "Zoë 🍵");
    // Halves of pairs, in any order, and what is no escape.
    CHECK(unquote(R"("\ud83c")") == "\ufffd");
    CHECK(unquote(R"("\udf75\ud83cx")") == "\ufffd\ufffdx");
    CHECK(unquote(R"("\ud83c\u0041")") == "\ufffdA");
    CHECK(unquote(R"("\ud83c\ud83c\udf75")") == "\ufffd🍵");
    CHECK(unquote(R"("\u12g4")") == "\ufffd12g4");
    CHECK(unquote(R"("\u12)") == "\ufffd12");
    CHECK(unquote("\"a\\") == "a");
    CHECK(unquote("\"") == "");
    CHECK(unquote("") == "");
    CHECK(unquote("42") == "42");
    for (int c = 0; c < 256; c++) {
        const std::string text(1, static_cast<char>(c));
        CHECK(unquote(quote(text)) == text);
    }
}

static void members()
{
    const std::string object = " { \"a\" : [1, {\"b\": \"]}\"}] ,\n\"b\":\"\\\\\" , \"\\u0063\\\"\":null,\"d\":-1.5e3}";
    CHECK(member(object, "a") == "[1, {\"b\": \"]}\"}]");
    CHECK(member(object, "b") == "\"\\\\\"");
    CHECK(member(object, "c\"") == "null");
    CHECK(member(object, "d") == "-1.5e3");
    CHECK(!member(object, "e"));
    CHECK(!member(object, ""));
    CHECK(member(R"({"":1})", "") == "1");
    CHECK(member(R"({"a":{"a":1}})", "a") == R"({"a":1})");
    CHECK(member(R"({"a":1,"a":2})", "a") == "1");
    // Of what is cut off or is no object there are no members, and nothing is read behind its end.
    const std::string whole = R"({"k":{"a":["\"",1]},"z":"\u0061"})";
    for (std::size_t length = 0; length < whole.size(); length++) {
        const std::unique_ptr<char[]> cut(new char[length]);
        whole.copy(cut.get(), length);
        const std::string_view json(cut.get(), length);
        CHECK(!member(json, "z") || length == whole.size() - 1);
        CHECK(unquote(json).size() <= length);
        CHECK(!arawn::detail::is_one_value(json));
    }
    for (const char *other : {"", " ", "[]", "[1]", "\"a\"", "1", "{", "{}", "{a:1}", "{\"a\"}", "{\"a\" 1}", "{\"a\":",
                              "{,}", "}", "{]"})
        CHECK(!member(other, "a"));
}

static void values()
{
    for (const char *one : {"1", " -1.5 ", "\"\"", "\" \\\" \"", "{}", "[]", "[[],{}]", "{\"a\":[1,2]}", "\tnull\n",
                            "[\"]\"]"})
        CHECK(arawn::detail::is_one_value(one));
    for (const char *other : {"", " ", "1 2", "1,2", "{}{}", "[]]", "{}}", "]", "}", ",", ":", "\"", "[", "{\"a\":",
                              "\"\\\"", "1,\"limits\":{}", "{},\"limits\":{}", "null}", "\"a\":1", "1\"2\"", "[1]2"})
        CHECK(!arawn::detail::is_one_value(other));
    std::string items;
    arawn::detail::each(R"([1, "a,]" ,{"b":[]}, [] ])", [&](std::string_view key, std::string_view value) {
        CHECK(key.empty());
        items.append(value).append(";");
        return true;
    });
    CHECK(items == R"(1;"a,]";{"b":[]};[];)");
}

int main(int argc, char **argv)
{
    prove(argc, argv);
    texts();
    members();
    values();
    std::cout << "done\n";
}
