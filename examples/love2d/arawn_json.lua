-- JSON for LuaJIT, strictly as RFC 8259 has it, that gives back what it was given:
--
--   * `null` is json.null, and an empty array stays one: arrays have the metatable json.array
--   * numbers keep every bit, and integers beyond 2^53 are int64_t (9007199254740993LL), or uint64_t where that is
--     too small; what is greater still is rounded
--
--     local json = require("arawn").json
--     json.encode({ list = json.array { 1, 2 }, nothing = json.null })   {"list":[1,2],"nothing":null}
--     json.decode('{"id":9007199254740993}').id                          9007199254740993LL
--
-- An empty table without that metatable is an object. A table is a list or an object, not both, and a list has no gaps.
-- What is wrong is raised as an error, with the path to it.
local ffi = require "ffi"

local json = { null = setmetatable({}, { __tostring = function() return "null" end }) }
local DEEPEST = 512

local Array = {}
json.array = setmetatable(Array, {
    __call = function(_, list) return setmetatable(list or {}, Array) end,
})

local int64, uint64 = ffi.typeof("int64_t"), ffi.typeof("uint64_t")

local function escaped(character)
    local byte = character:byte()
    return byte < 32 and ("\\u%04x"):format(byte) or "\\" .. character
end

local encode

-- The name of what is encoded, and the keys that lead from there to the value at work.
local root, trail = nil, {}

local function refuse(depth, what)
    local path = root or ""
    for index = 1, depth do
        local key = trail[index]
        path = path .. (type(key) == "number" and ("[%d]"):format(key) or (path == "" and "" or ".") .. key)
    end
    error((path == "" and "the value" or path) .. ": " .. what, 0)
end

local function encode_number(value, depth)
    if value ~= value or value == math.huge or value == -math.huge then
        refuse(depth, "JSON has no number " .. tostring(value))
    end
    if value == math.floor(value) and math.abs(value) < 2 ^ 53 then
        return ("%.0f"):format(value)
    end
    local short = ("%.15g"):format(value)
    return tonumber(short) == value and short or ("%.17g"):format(value)
end

local function shown(key)
    return type(key) == "string" and ("the key `%s`"):format(key) or ("the key [%s]"):format(tostring(key))
end

-- How many a list has; one with other keys too, or with gaps, would lose what it has there.
local function length(list, depth)
    local count, last = 0, 0
    for key in pairs(list) do
        if type(key) ~= "number" or key < 1 or key ~= math.floor(key) then
            refuse(depth, ("a list that has %s, too: a table is a list or an object"):format(shown(key)))
        end
        count, last = count + 1, math.max(last, key)
    end
    for index = 1, count < last and last or 0 do
        if list[index] == nil then
            refuse(depth, ("a list with nothing at [%d]: json.null is JSON's nothing"):format(index))
        end
    end
    return count
end

local function encode_table(value, depth)
    if depth > DEEPEST then
        refuse(1, "nested too deeply, or within itself")
    end
    local parts = {}
    if getmetatable(value) == Array or value[1] ~= nil then
        for index = 1, length(value, depth) do
            trail[depth + 1] = index
            parts[index] = encode(value[index], depth + 1)
        end
        return "[" .. table.concat(parts, ",") .. "]"
    end
    local keys = {}
    for key in pairs(value) do
        if type(key) ~= "string" then
            local problem = "a table with %s: a list begins at [1], and an object's keys are strings"
            refuse(depth, problem:format(shown(key)))
        end
        keys[#keys + 1] = key
    end
    table.sort(keys)
    for index, key in ipairs(keys) do
        trail[depth + 1] = key
        parts[index] = encode(key, depth + 1) .. ":" .. encode(value[key], depth + 1)
    end
    return "{" .. table.concat(parts, ",") .. "}"
end

function encode(value, depth)
    local kind = type(value)
    if kind == "string" then
        return '"' .. value:gsub('[%z\1-\31"\\]', escaped) .. '"'
    elseif kind == "number" then
        return encode_number(value, depth)
    elseif kind == "boolean" then
        return tostring(value)
    elseif value == json.null then
        return "null"
    elseif kind == "table" then
        return encode_table(value, depth)
    elseif kind == "cdata" and (ffi.istype(int64, value) or ffi.istype(uint64, value)) then
        return (tostring(value):gsub("U?LL$", ""))
    end
    refuse(depth, "JSON has no " .. kind)
end

-- `name` is what errors call the value.
function json.encode(value, name)
    root = name
    return encode(value, 0)
end

-- Decoding. Each function takes the text and where it begins, and gives the value and where the next one begins.
local decode

local function fail(at, what)
    error(("not JSON: %s at byte %d"):format(what, at), 0)
end

local function skip(text, at)
    return text:match("^[ \t\r\n]*()", at)
end

local function utf8(code)
    if code < 0x80 then
        return string.char(code)
    end
    local last = 0x80 + code % 64
    code = math.floor(code / 64)
    if code < 32 then
        return string.char(0xC0 + code, last)
    end
    local third = 0x80 + code % 64
    code = math.floor(code / 64)
    if code < 16 then
        return string.char(0xE0 + code, third, last)
    end
    return string.char(0xF0 + math.floor(code / 64), 0x80 + code % 64, third, last)
end

local UNESCAPED = { ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

local function decode_escape(text, at)
    local name = text:sub(at + 1, at + 1)
    if UNESCAPED[name] then
        return UNESCAPED[name], at + 2
    end
    local digits = text:match("^u(%x%x%x%x)", at + 1) or fail(at, "an unknown escape")
    local code = tonumber(digits, 16)
    if code >= 0xD800 and code < 0xE000 then
        local low = tonumber(text:match("^\\u(%x%x%x%x)", at + 6) or "0", 16)
        if code >= 0xDC00 or low < 0xDC00 or low >= 0xE000 then
            fail(at, "half a surrogate pair")
        end
        return utf8(0x10000 + (code - 0xD800) * 1024 + (low - 0xDC00)), at + 12
    end
    return utf8(code), at + 6
end

local function decode_string(text, at)
    local parts = {}
    at = at + 1
    while true do
        parts[#parts + 1], at = text:match('^([^%z\1-\31"\\]*)()', at)
        local character = text:sub(at, at)
        if character == '"' then
            return table.concat(parts), at + 1
        elseif character == "\\" then
            parts[#parts + 1], at = decode_escape(text, at)
        else
            fail(at, character == "" and "a string without an end" or "a control character")
        end
    end
end

local function decode_number(text, at)
    local whole, stop = text:match("^(%-?%d+)()", at)
    if not whole or whole:find("^%-?0%d") then
        fail(at, "no value")
    end
    local fraction, after = text:match("^(%.%d+)()", stop)
    stop = after or stop
    local exponent, last = text:match("^([eE][+-]?%d+)()", stop)
    stop = last or stop
    local value = tonumber(text:sub(at, stop - 1))
    if math.abs(value) == math.huge then
        fail(at, "a number out of range")
    elseif fraction or exponent or math.abs(value) < 2 ^ 53 then
        return value, stop
    end
    -- An integer that a double may not hold: digit by digit, where it fits.
    local digits = whole:gsub("^-", "")
    local function fits(largest)
        return #digits < #largest or (#digits == #largest and digits <= largest)
    end
    local kind = fits("9223372036854775807") and int64 or value > 0 and fits("18446744073709551615") and uint64
    if not kind then
        return value, stop
    end
    local exact = kind(0)
    for digit in digits:gmatch("%d") do
        exact = exact * 10 + tonumber(digit)
    end
    return value < 0 and -exact or exact, stop
end

local function decode_array(text, at, depth)
    local list = json.array {}
    at = skip(text, at + 1)
    if text:sub(at, at) == "]" then
        return list, at + 1
    end
    while true do
        list[#list + 1], at = decode(text, at, depth + 1)
        at = skip(text, at)
        local mark = text:sub(at, at)
        if mark == "]" then
            return list, at + 1
        elseif mark ~= "," then
            fail(at, "no comma")
        end
        at = skip(text, at + 1)
    end
end

local function decode_object(text, at, depth)
    local object = {}
    at = skip(text, at + 1)
    if text:sub(at, at) == "}" then
        return object, at + 1
    end
    while true do
        if text:sub(at, at) ~= '"' then
            fail(at, "no key")
        end
        local key
        key, at = decode_string(text, at)
        at = skip(text, at)
        if text:sub(at, at) ~= ":" then
            fail(at, "no colon")
        end
        object[key], at = decode(text, skip(text, at + 1), depth + 1)
        at = skip(text, at)
        local mark = text:sub(at, at)
        if mark == "}" then
            return object, at + 1
        elseif mark ~= "," then
            fail(at, "no comma")
        end
        at = skip(text, at + 1)
    end
end

local WORDS = { ["true"] = true, ["false"] = false, null = json.null }

function decode(text, at, depth)
    local first = text:sub(at, at)
    if depth > DEEPEST then
        fail(at, "a value nested too deeply")
    elseif first == "{" then
        return decode_object(text, at, depth)
    elseif first == "[" then
        return decode_array(text, at, depth)
    elseif first == '"' then
        return decode_string(text, at)
    end
    local word, stop = text:match("^(%l+)()", at)
    if word and WORDS[word] ~= nil then
        return WORDS[word], stop
    end
    return decode_number(text, at)
end

function json.decode(text)
    local value, at = decode(text, skip(text, 1), 0)
    at = skip(text, at)
    if at <= #text then
        fail(at, "more than one value")
    end
    return value
end

return json
