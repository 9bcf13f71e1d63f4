-- bindings/lua/arawn_json.lua
local check = require "check"
local json = require "arawn_json"

local tests = {}

-- What is encoded as the same text that it was decoded from.
function tests.test_texts_that_come_back()
    for _, text in ipairs {
        "null", "true", "false", "0", "-1", "1.5", "1e+300", "0.1", "0.30000000000000004",
        "9007199254740991", "9007199254740993", "-9007199254740993", "9223372036854775807", "-9223372036854775807",
        "9223372036854775808", "18446744073709551615",
        "{}", "[]", "[[],{},[{}]]", "[null,false,0]", '{"a":null,"b":[],"c":{}}', '""', [["\"\\/"]], '"Zoë 🍵"',
    } do
        check.equal(json.encode(json.decode(text)), text)
    end
end

function tests.test_numbers_that_are_the_same_in_other_words()
    check.equal(json.decode("1E2"), 100)
    check.equal(json.decode("-0.0"), 0)
    check.equal(json.decode(json.encode(5e-324)), 5e-324)
    check.equal(json.decode("18446744073709551616"), 2 ^ 64)
    check.equal(json.decode("-9223372036854775808"), -2 ^ 63)
    check.equal(json.decode(" [ 1 , 2 ] ")[2], 2)
    check.equal(json.encode(1e15), "1000000000000000")
    check.equal(json.decode("9007199254740993"), 9007199254740993LL)
    check.equal(type(json.decode("9007199254740991")), "number")
end

function tests.test_strings()
    check.equal(json.decode([["\ud83c\udf75 \u00e9\u20ac\n\u0000\/"]]), "🍵 é€\n\0/")
    check.equal(json.encode("\0\31\127\"\\/"), [["\u0000\u001f]] .. '\127\\"\\\\/"')
    check.equal(json.decode('"\127a\127"'), "\127a\127")
    for code = 0, 0x10FFFF, 97 do
        if code < 0xD800 or code > 0xFFFF then
            local high, low = math.floor((code - 0x10000) / 1024) + 0xD800, (code - 0x10000) % 1024 + 0xDC00
            local escape = code < 0x10000 and ("\\u%04x"):format(code) or ("\\u%04x\\u%04x"):format(high, low)
            local text = json.decode('"' .. escape .. '"')
            check.equal(json.decode(json.encode(text)), text)
            check.equal(#text, code < 0x80 and 1 or code < 0x800 and 2 or code < 0x10000 and 3 or 4)
        end
    end
end

function tests.test_tables()
    check.equal(json.encode {}, "{}")
    check.equal(json.encode(json.array {}), "[]")
    check.equal(json.encode { 1, "two", { three = 3 } }, '[1,"two",{"three":3}]')
    check.equal(json.encode { b = 1, a = json.null }, '{"a":null,"b":1}')
    check.equal(json.decode('{"a":1,"a":2}').a, 2)
end

function tests.test_what_is_not_json()
    for _, text in ipairs {
        "", " ", "nul", "nulls", "True", "01", "-", "1.", ".5", "1e", "+1", "0x10", "NaN", "1 2", "[1,]",
        "[,1]", "[1", "]",
        "{", '{"a"}', '{"a":}', '{"a":1,}', "{a:1}", "{1:1}", '"', '"\\', '"\\x"', '"\\u12"', '"\n"', '"\0"', "'a'",
        '"\\ud800"', '"\\udc00"', '"\\ud800\\u0041"', "1e999", "[1]]", "// x\n1", ("["):rep(600) .. ("]"):rep(600),
    } do
        check.raises("not JSON", json.decode, text)
    end
    check.raises("byte 4", json.decode, "[1,}")
end

function tests.test_what_cannot_be_json()
    local within = {}
    within.itself = within
    check.raises("within itself", json.encode, within)
    check.raises("no function", json.encode, { f = print })
    check.raises("no cdata", json.encode, require("ffi").new("char[1]"))
    check.raises("no number", json.encode, 0 / 0)
    check.raises("no number", json.encode, { math.huge })
end

function tests.test_tables_that_are_neither_a_list_nor_an_object()
    for expected, value in pairs {
        ["the value: a list that has the key `x`, too"] = { 1, 2, x = 3 },
        ["the value: a list with nothing at [2]"] = { 1, nil, 3 },
        ["a.list: a list with nothing at [3]"] = { a = { list = { 1, 2, nil, 4 } } },
        ["a[2].b: a list that has the key `b`, too"] = { a = { 0, { b = { 1, b = 2 } } } },
        ["a: a list that has the key [true], too"] = { a = { 1, [true] = 1 } },
        ["a: a list that has the key [1.5], too"] = { a = json.array { [1.5] = 1 } },
        ["a: a list that has the key [0], too"] = { a = { 1, [0] = 1 } },
        ["a: a list with nothing at [1]"] = { a = json.array { nil, 2 } },
        ["a: a table with the key [2]"] = { a = { nil, 2 } },
        ["a: a table with the key [true]"] = { a = { [true] = 1 } },
    } do
        check.raises(expected, json.encode, value)
    end
    check.raises("context.list[2].f: JSON has no function", json.encode, { list = { 1, { f = print } } }, "context")
    check.raises("context: JSON has no number nan", json.encode, 0 / 0, "context")
    check.equal(json.encode { { 1, 2, 3 }, json.array { 1, json.null, 3 } }, "[[1,2,3],[1,null,3]]")
end

check.run(tests)
