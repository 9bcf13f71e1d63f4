-- JSON for LuaJIT, strictly as RFC 8259 has it, that gives back what it was given:
--
--   * `null` is json.null, and an empty array stays one: arrays have the metatable json.array
--   * numbers keep every bit, and integers beyond 2^53 are int64_t (9007199254740993LL), or uint64_t where that is
--     too small; what is greater still is rounded
--
--     local json = require("arawn").json
--     json.encode({ list = json.array { 1, 2 }, nothing = json.null })   {"list":[1,2],"nothing":null}
--     json.decode('{"id":9007199254740993}').id                          9007199254740993LL
--     json.encode({ document = json.raw('{"pi": 3.10}') })               {"document":{"pi": 3.10}}
--
-- An empty table without that metatable is an object. A table is a list or an object, not both, and a list has no gaps.
-- What is wrong is raised as an error, with the path to it.
--
-- LuaJIT compiles string.byte, and no patterns: what most values have is found by bytes, and the rest by patterns.
local ffi = require "ffi"
local byte, find, sub = string.byte, string.find, string.sub

local json = { null = setmetatable({}, { __tostring = function() return "null" end }) }
local DEEPEST = 512
-- Strings of more bytes are searched by patterns, which are faster there.
local SHORT = 64

local Array = {}
json.array = setmetatable(Array, {
    __call = function(_, list) return setmetatable(list or {}, Array) end,
})
local Raw = { __tostring = function(raw) return raw.text end }

local int64, uint64 = ffi.typeof("int64_t"), ffi.typeof("uint64_t")

local function escaped(character)
    local code = character:byte()
    return code < 32 and ("\\u%04x"):format(code) or "\\" .. character
end

local function is_plain(text)
    if #text > SHORT then
        return not find(text, '[%z\1-\31"\\]')
    end
    for at = 1, #text do
        local code = byte(text, at)
        if code < 32 or code == 34 or code == 92 then
            return false
        end
    end
    return true
end

local function quote(text)
    return '"' .. (is_plain(text) and text or text:gsub('[%z\1-\31"\\]', escaped)) .. '"'
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

local function keys_of(object, depth)
    local keys, last = {}, 0
    for key in pairs(object) do
        if type(key) ~= "string" then
            local problem = "a table with %s: a list begins at [1], and an object's keys are strings"
            refuse(depth, problem:format(shown(key)))
        end
        last = last + 1
        keys[last] = key
    end
    if last > 1 then
        table.sort(keys)
    end
    return keys, last
end

-- Keys as JSON, since the same ones come again and again; so many at most.
local MOST_KEYS = 1000
local quoted, quoted_count = {}, 0

local function encode_key(key)
    local text = quote(key) .. ":"
    if quoted_count == MOST_KEYS then
        quoted, quoted_count = {}, 0
    end
    quoted[key], quoted_count = text, quoted_count + 1
    return text
end

-- Both functions append to `out`, which has `count` texts, and give how many it has then.
local function encode_table(value, depth, out, count)
    if depth > DEEPEST then
        refuse(1, "nested too deeply, or within itself")
    end
    local keys, last = nil, 0
    if getmetatable(value) == Array or value[1] ~= nil then
        last = length(value, depth)
    else
        keys, last = keys_of(value, depth)
    end
    out[count + 1] = keys and "{" or "["
    for index = 1, last do
        local key = keys and keys[index] or index
        trail[depth + 1] = key
        out[count + 2] = keys and (quoted[key] or encode_key(key)) or ""
        count = encode(value[key], depth + 1, out, count + 2)
        out[count + 1] = ","
    end
    count = last == 0 and count + 2 or count + 1
    out[count] = keys and "}" or "]"
    return count
end

function encode(value, depth, out, count)
    local kind = type(value)
    if kind == "table" and value ~= json.null then
        if getmetatable(value) ~= Raw then
            return encode_table(value, depth, out, count)
        end
        value = value.text
    elseif kind == "string" then
        value = quote(value)
    elseif kind == "number" then
        value = encode_number(value, depth)
    elseif kind == "boolean" or kind == "table" then
        value = tostring(value)
    elseif kind == "cdata" and (ffi.istype(int64, value) or ffi.istype(uint64, value)) then
        value = tostring(value):gsub("U?LL$", "")
    else
        refuse(depth, "JSON has no " .. kind)
    end
    out[count + 1] = value
    return count + 1
end

-- `name` is what errors call the value.
function json.encode(value, name)
    root = name
    if type(value) == "string" then
        return quote(value)
    end
    local out = {}
    return table.concat(out, "", 1, encode(value, 0, out, 0))
end

-- Decoding. Each function takes the text and where it begins, and gives the value and where the next one begins.
local decode

-- The keys whose values are left as they stand in the text.
local kept

local function fail(at, what)
    error(("not JSON: %s at byte %d"):format(what, at), 0)
end

-- Also the byte that comes then.
local function skip(text, at)
    local code = byte(text, at)
    while code == 32 or code == 10 or code == 13 or code == 9 do
        at = at + 1
        code = byte(text, at)
    end
    return at, code
end

-- `room` is what the first byte has room for.
local function utf8(code)
    local tail, room = "", 0x80
    while code >= room do
        tail, code = string.char(0x80 + code % 64) .. tail, math.floor(code / 64)
        room = room == 0x80 and 32 or room / 2
    end
    return string.char((0x100 - 2 * room) % 0x100 + code) .. tail
end

local UNESCAPED = { ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

local function decode_escape(text, at)
    local name = sub(text, at + 1, at + 1)
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
    for stop = at + 1, at + SHORT do
        local code = byte(text, stop)
        if code == 34 then
            return sub(text, at + 1, stop - 1), stop + 1
        elseif not code or code == 92 or code < 32 then
            break
        end
    end
    local parts = {}
    at = at + 1
    while true do
        parts[#parts + 1], at = text:match('^([^%z\1-\31"\\]*)()', at)
        local character = sub(text, at, at)
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
    local whole, more, stop = text:match("^(%-?%d+)([.eE]?)()", at)
    if not whole or whole:find("^%-?0%d") then
        fail(at, "no value")
    elseif more == "" and #whole < 16 then
        return tonumber(whole), stop
    end
    stop = stop - #more
    local fraction, after = text:match("^(%.%d+)()", stop)
    stop = after or stop
    local exponent, last = text:match("^([eE][+-]?%d+)()", stop)
    stop = last or stop
    local value = tonumber(sub(text, at, stop - 1))
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
    local list, count, code = json.array {}, 0, nil
    at, code = skip(text, at + 1)
    if code == 93 then
        return list, at + 1
    end
    while true do
        count = count + 1
        list[count], at = decode(text, at, depth + 1)
        at, code = skip(text, at)
        if code == 93 then
            return list, at + 1
        elseif code ~= 44 then
            fail(at, "no comma")
        end
        at = skip(text, at + 1)
    end
end

-- Where the value ends. What is in it is not looked at.
local function skip_value(text, at)
    local depth = 0
    repeat
        local code = byte(text, at)
        if code == 34 then
            repeat
                at = find(text, '["\\]', at + 1) or fail(at, "a string without an end")
                local is_end = byte(text, at) == 34
                at = is_end and at or at + 1
            until is_end
        elseif code == 123 or code == 91 then
            depth = depth + 1
        elseif depth == 0 then
            return find(text, "[,%]} \t\r\n]", at) or #text + 1
        else
            depth = depth - 1
        end
        at = at + 1
        if depth > 0 then
            at = find(text, '["{}%[%]]', at) or fail(at, "a value without an end")
        end
    until depth == 0
    return at
end

local function decode_object(text, at, depth)
    local object, code = {}, nil
    at, code = skip(text, at + 1)
    if code == 125 then
        return object, at + 1
    end
    while true do
        if code ~= 34 then
            fail(at, "no key")
        end
        local key
        key, at = decode_string(text, at)
        at, code = skip(text, at)
        if code ~= 58 then
            fail(at, "no colon")
        end
        at = skip(text, at + 1)
        if kept and kept[key] then
            local stop = skip_value(text, at)
            object[key], at = sub(text, at, stop - 1), stop
        else
            object[key], at = decode(text, at, depth + 1)
        end
        at, code = skip(text, at)
        if code == 125 then
            return object, at + 1
        elseif code ~= 44 then
            fail(at, "no comma")
        end
        at, code = skip(text, at + 1)
    end
end

local WORDS = { ["true"] = true, ["false"] = false, null = json.null }

function decode(text, at, depth)
    local first = byte(text, at)
    if depth > DEEPEST then
        fail(at, "a value nested too deeply")
    elseif first == 123 then
        return decode_object(text, at, depth)
    elseif first == 91 then
        return decode_array(text, at, depth)
    elseif first == 34 then
        return decode_string(text, at)
    end
    local word, stop = text:match("^(%l+)()", at)
    if word and WORDS[word] ~= nil then
        return WORDS[word], stop
    end
    return decode_number(text, at)
end

-- `keep`, which may be left out, has the keys whose values are left as they stand in the text: { output = true }.
function json.decode(text, keep)
    kept = keep
    local value, at = decode(text, skip(text, 1), 0)
    at = skip(text, at)
    if at <= #text then
        fail(at, "more than one value")
    end
    return value
end

-- JSON that is a text already, to be encoded as it stands. It is looked at once, here.
function json.raw(text)
    json.decode(text)
    return setmetatable({ text = text }, Raw)
end

local DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

function json.base64(bytes)
    local out, last = ffi.new("uint8_t[?]", math.ceil(#bytes / 3) * 4), 0
    for at = 1, #bytes, 3 do
        local a, b, c = byte(bytes, at, at + 2)
        local bits = a * 65536 + (b or 0) * 256 + (c or 0)
        for place = 0, 3 do
            local digit = math.floor(bits / 64 ^ (3 - place)) % 64 + 1
            out[last + place] = at + place - 1 <= #bytes and byte(DIGITS, digit) or 61
        end
        last = last + 4
    end
    return ffi.string(out, last)
end

return json
