// libarawn for C++17, header-only. It sits on arawn.h, which is the manual of requests, replies, codes and threads.
//
//     #include <arawn.hpp>
//     #include <iostream>
//
//     int main()
//     {
//         arawn::Executor executor(R"({"limits": {"timeout_ms": 10000}})");
//         arawn::Reply reply = executor.execute("passthrough", R"({"context": {"greeting": "hello"}})");
//         std::cout << reply.output() << '\n';
//     }
//
// prints {"config":{},"context":{"greeting": "hello"}}
//
//     c++ -std=c++17 example.cpp -larawn
//
// JSON.        It is text here, in UTF-8: an arawn::Json is made of a string, or of a value of a JSON library that has
//              dump(), such as nlohmann's. A Reply converts to nlohmann::json.
// Errors.      A call returns a Reply, also where it failed. What has something else to return throws arawn::Error: the
//              constructor, submit and async, submit_pipeline and async_pipeline, submit_registration, finished,
//              host_function, deferred_host_function, poll_descriptor, and Reply::output() of a reply that is an
//              error. Compiled without exceptions they call std::terminate; arawn::call and Executor::call never need
//              them.
// Exceptions.  None passes through the library: one that leaves a host function is the guest's error reply.
// Threads.     Any number of threads may use one Executor at once, and one may close it. Moving it, assigning to it and
//              destroying it take that no other thread uses it.
#ifndef ARAWN_HPP
#define ARAWN_HPP

#include "arawn.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace arawn {

// JSON as an argument: text, or a value that has dump().
class Json {
public:
    Json(std::string text) noexcept : text_(std::move(text)) {}
    Json(std::string_view text) : text_(text) {}
    Json(const char *text) : text_(text) {}
    Json(std::nullptr_t) = delete;
    template <class Value, class = decltype(std::string(std::declval<const Value &>().dump()))>
    Json(const Value &value) : text_(value.dump())
    {
    }

    const std::string &str() const & noexcept { return text_; }
    const std::string &str() const && = delete;

private:
    std::string text_;
};

// A text as a JSON string.
inline std::string quote(std::string_view text)
{
    static constexpr char digits[] = "0123456789abcdef";
    std::string json = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            json += '\\';
            json += c;
        } else if (byte < 0x20) {
            json += "\\u00";
            json += digits[byte >> 4];
            json += digits[byte & 15];
        } else {
            json += c;
        }
    }
    return json += '"';
}

namespace detail {

constexpr std::size_t npos = std::string_view::npos;

inline std::size_t skip_space(std::string_view json, std::size_t at)
{
    return std::min(json.find_first_not_of(" \t\r\n", at), json.size());
}

// From its opening quote to behind its closing one.
inline std::size_t skip_string(std::string_view json, std::size_t at)
{
    for (++at; at < json.size(); ++at) {
        if (json[at] == '"')
            return at + 1;
        if (json[at] == '\\')
            ++at;
    }
    return npos;
}

// Where the value at `at` ends. It only tells a value from its neighbours: the library looks at what is in it.
inline std::size_t skip_value(std::string_view json, std::size_t at)
{
    std::size_t depth = 0;
    at = skip_space(json, at);
    do {
        const char c = at < json.size() ? json[at] : ',';
        if (c == '"') {
            at = skip_string(json, at);
        } else if (c == '{' || c == '[') {
            ++depth;
            ++at;
        } else if (depth > 0 && at < json.size()) {
            depth -= c == '}' || c == ']' ? 1 : 0;
            ++at;
        } else {
            const std::size_t end = std::min(json.find_first_of("{}[],:\" \t\r\n", at), json.size());
            return depth == 0 && end > at ? end : npos;
        }
    } while (depth > 0);
    return at;
}

inline bool is_one_value(std::string_view json)
{
    const std::size_t end = skip_value(json, 0);
    return end != npos && skip_space(json, end) == json.size();
}

// Visits an object's members, or a list's items with an empty key, until the visitor answers false.
template <class Visit>
void each(std::string_view json, Visit visit)
{
    std::size_t at = skip_space(json, 0);
    if (at >= json.size() || (json[at] != '{' && json[at] != '['))
        return;
    const bool is_object = json[at] == '{';
    do {
        std::string_view key;
        at = skip_space(json, at + 1);
        if (is_object) {
            const std::size_t end = at < json.size() && json[at] == '"' ? skip_string(json, at) : npos;
            if (end == npos)
                return;
            key = json.substr(at, end - at);
            at = skip_space(json, end);
            if (at >= json.size() || json[at] != ':')
                return;
            at = skip_space(json, at + 1);
        }
        const std::size_t end = skip_value(json, at);
        if (end == npos || !visit(key, json.substr(at, end - at)))
            return;
        at = skip_space(json, end);
    } while (at < json.size() && json[at] == ',');
}

// The four digits of a \u escape, or more than any has.
inline std::uint32_t hex(std::string_view json, std::size_t at)
{
    const std::string_view digits = json.substr(std::min(at, json.size()), 4);
    std::uint32_t value = 0;
    const char *const end = digits.data() + digits.size();
    return digits.size() == 4 && std::from_chars(digits.data(), end, value, 16).ptr == end ? value : 0x110000;
}

inline void append_utf8(std::string &text, std::uint32_t c)
{
    static constexpr std::uint32_t leads[] = {0, 0xc0, 0xe0, 0xf0};
    std::size_t more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    text += static_cast<char>(leads[more] | c >> 6 * more);
    while (more-- > 0)
        text += static_cast<char>(0x80 | (c >> 6 * more & 0x3f));
}

} // namespace detail

// The text that a JSON string stands for; anything else as it is. Half of a surrogate pair becomes U+FFFD.
inline std::string unquote(std::string_view json)
{
    static constexpr std::string_view escapes = "bfnrt", controls = "\b\f\n\r\t";
    if (json.empty() || json.front() != '"')
        return std::string(json);
    std::string text;
    for (std::size_t at = 1; at < json.size() && json[at] != '"'; ++at) {
        if (json[at] != '\\') {
            text += json[at];
        } else if (++at == json.size()) {
            break;
        } else if (json[at] != 'u') {
            const std::size_t escape = escapes.find(json[at]);
            text += escape == detail::npos ? json[at] : controls[escape];
        } else {
            std::uint32_t c = detail::hex(json, at + 1);
            at += c > 0xffff ? 0 : 4;
            const bool is_pair = c >= 0xd800 && c < 0xdc00 && json.substr(at + 1, 2) == "\\u";
            const std::uint32_t low = is_pair ? detail::hex(json, at + 3) : 0;
            if (low >= 0xdc00 && low < 0xe000) {
                c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
                at += 6;
            }
            detail::append_utf8(text, c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0xfffd : c);
        }
    }
    return text;
}

// The JSON of an object's member, as it stands in the object's text, which must outlive it; none where there is no such
// member.
inline std::optional<std::string_view> member(std::string_view object, std::string_view key)
{
    std::optional<std::string_view> found;
    detail::each(object, [&](std::string_view name, std::string_view value) {
        if (!name.empty() && unquote(name) == key)
            found = value;
        return !found;
    });
    return found;
}

template <class Object, class = std::enable_if_t<std::is_same_v<std::remove_const_t<Object>, std::string>>>
std::optional<std::string_view> member(Object &&object, std::string_view key) = delete;

// What a function of the library has answered. Its parts are looked up in its text, each time. Those that are views into
// the text take a reply that has a name and outlives them: `reply.output()`, not `executor.execute(…).output()`.
class Reply {
public:
    explicit Reply(std::string json) noexcept : json_(std::move(json)) {}

    // Takes the string that a function of arawn.h has returned, and releases it.
    static Reply take(char *json)
    {
        const std::unique_ptr<char, void (*)(char *)> owned(json, arawn_free);
        return Reply(owned.get());
    }

    bool ok() const noexcept { return std::string_view(json_).substr(0, 14) == "{\"status\":\"ok\""; }
    explicit operator bool() const noexcept { return ok(); }

    // "ok" or "error".
    std::string_view status() const noexcept { return ok() ? "ok" : "error"; }

    // The output's JSON, as the runtime wrote it. Throws Error where there is none, since the reply is an error.
    std::string_view output() const &;
    std::string_view output() const && = delete;

    // The code and the text for people; empty where the reply is no error.
    std::string code() const { return text("code"); }
    std::string error() const { return text("error"); }

    // The JSON of an error's details, and of what Call::meta asked for; empty where there is none.
    std::string_view details() const & { return member(json_, "details").value_or(""); }
    std::string_view details() const && = delete;
    std::string_view meta() const & { return member(json_, "meta").value_or(""); }
    std::string_view meta() const && = delete;

    // The whole, as arawn.h describes it.
    const std::string &raw() const & noexcept { return json_; }
    const std::string &raw() const && = delete;

private:
    std::string text(std::string_view key) const { return ok() ? "" : unquote(member(json_, key).value_or("")); }

    std::string json_;
};

// The whole as a value of nlohmann's: `nlohmann::json value = reply;`
template <class Value>
auto to_json(Value &value, const Reply &reply) -> decltype(void(Value::parse(reply.raw())))
{
    value = Value::parse(reply.raw());
}

// A reply that is an error, where something else was to be returned. what() is its code and its text.
class Error : public std::runtime_error {
public:
    explicit Error(const Reply &reply)
        : std::runtime_error(reply.code() + ": " + reply.error()), reply_(std::make_shared<const Reply>(reply))
    {
    }

    std::string code() const { return reply_->code(); }
    const Reply &reply() const & noexcept { return *reply_; }
    const Reply &reply() const && = delete;

private:
    // Shared, so that copying the exception cannot throw.
    std::shared_ptr<const Reply> reply_;
};

namespace detail {

[[noreturn]] inline void fail([[maybe_unused]] const Reply &reply)
{
#ifdef __cpp_exceptions
    throw Error(reply);
#else
    std::terminate();
#endif
}

inline const Reply &checked(const Reply &reply)
{
    if (!reply)
        fail(reply);
    return reply;
}

inline Reply refused(std::string_view code, std::string_view text, std::string_view details = "{}")
{
    return Reply("{\"status\":\"error\",\"error\":" + quote(text) + ",\"code\":" + quote(code) +
                 ",\"details\":" + std::string(details) + "}");
}

} // namespace detail

inline std::string_view Reply::output() const &
{
    const std::optional<std::string_view> found = ok() ? member(json_, "output") : std::nullopt;
    if (!found)
        detail::fail(*this);
    return *found;
}

// Calls a function of arawn.h.
inline Reply call(char *(*function)(const char *), const Json &request)
{
    if (request.str().find('\0') != detail::npos)
        return detail::refused("invalid_argument", "the request has a NUL in it");
    return Reply::take(function(request.str().c_str()));
}

inline Reply configure(const Json &options) { return call(arawn_configure, options); }
inline Reply stats(const Json &request = "{}") { return call(arawn_stats, request); }
inline std::string version() { return arawn_version(); }

namespace detail {

// An object's text while it grows: members that are set, and no others.
class Members {
public:
    Members &add_json(std::string_view key, std::string_view json)
    {
        text_.append(text_.empty() ? "\"" : ",\"").append(key).append("\":").append(json);
        return *this;
    }
    Members &add(std::string_view key, const std::string &text)
    {
        return text.empty() ? *this : add_json(key, quote(text));
    }
    Members &add(std::string_view key, bool is_set) { return is_set ? add_json(key, "true") : *this; }
    Members &add(std::string_view key, std::optional<std::chrono::milliseconds> time)
    {
        return time ? add_json(key, std::to_string(time->count())) : *this;
    }
    Members &add(std::string_view key, std::optional<std::uint64_t> number)
    {
        return number ? add_json(key, std::to_string(*number)) : *this;
    }

    std::string str() const { return "{" + text_ + "}"; }

private:
    std::string text_{};
};

inline std::string base64(const std::vector<unsigned char> &bytes)
{
    static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        std::uint32_t bits = 0;
        for (std::size_t i = 0; i < 3; ++i)
            bits = bits << 8 | (at + i < bytes.size() ? bytes[at + i] : 0u);
        for (std::size_t i = 0; i < 4; ++i)
            text += at + i <= bytes.size() ? digits[bits >> (18 - 6 * i) & 63] : '=';
    }
    return text;
}

} // namespace detail

// The limits of a call, or of an executor; those that are not set stay as they are.
struct Limits {
    std::optional<std::chrono::milliseconds> timeout{};
    std::optional<std::uint64_t> memory_bytes{}, output_bytes{}, stderr_bytes{}, module_bytes{}, fuel{};

    std::string dump() const
    {
        detail::Members members;
        members.add("timeout_ms", timeout).add("memory_bytes", memory_bytes).add("output_bytes", output_bytes);
        members.add("stderr_bytes", stderr_bytes).add("module_bytes", module_bytes).add("fuel", fuel);
        return members.str();
    }
};

// A runtime for Executor::register_runtime and submit_registration. It has one of path, wasm, module_of and script; what
// is empty is left out. See arawn_catalog_register.
struct Registration {
    std::string name{}, path{};
    std::vector<unsigned char> wasm{};
    std::string module_of{}, script{}, language{}, description{};
    std::vector<std::string> args{};
    std::map<std::string, std::string> env{};
    std::optional<Json> config_schema{};
    std::string snapshot{}, warm_up{};
    bool shared_random = false, replace = false;
    std::optional<std::chrono::milliseconds> timeout{};

    std::string dump() const
    {
        detail::Members members, variables;
        members.add("name", name).add("path", path).add("module_of", module_of).add("script", script);
        members.add("language", language).add("description", description).add("snapshot", snapshot);
        members.add("warm_up", warm_up).add("shared_random", shared_random).add("replace", replace);
        members.add("timeout_ms", timeout);
        if (!wasm.empty())
            members.add_json("wasm_base64", '"' + detail::base64(wasm) + '"');
        std::string list;
        for (const std::string &arg : args)
            list += (list.empty() ? "" : ",") + quote(arg);
        if (!args.empty())
            members.add_json("args", "[" + list + "]");
        for (const auto &[key, value] : env) {
            const std::string quoted = quote(key);
            variables.add_json(std::string_view(quoted).substr(1, quoted.size() - 2), quote(value));
        }
        if (!env.empty())
            members.add_json("env", variables.str());
        // What is more than one value could pass for other keys: the library refuses a lone "!".
        if (config_schema)
            members.add_json("config_schema", detail::is_one_value(config_schema->str()) ? config_schema->str() : "!");
        return members.str();
    }
};

// What a call may have besides its runtime and its input.
struct Call {
    std::string job{};    // its name, for poll and cancel
    Json limits = "{}";   // any of the executor's limits, tighter: Limits, or JSON
    bool meta = false;    // whether the reply has meta()
};

// What a pipeline may have besides its document. What a document may have is at arawn_execute_pipeline.
struct PipelineCall {
    Json context = "{}";                       // an object that all steps find in their contexts
    std::map<std::string, Json> completed{};   // outputs that are known already: these steps do not run
    Json limits = "{}";                        // as of a Call; the timeout is that of the whole pipeline
    std::string job{};                         // its name, for poll and cancel
    bool meta = false;                         // whether the reply has meta()
    bool dry_run = false;                      // whether nothing runs: the output is the plan. Not to be submitted
};

// From a guest's request to the output, both JSON. What it throws is the guest's error: the reply of an arawn::Error,
// else the text of what(). It may use the library as anybody else may.
using HostFunction = std::function<Json(std::string_view request)>;

// The same for a function that may answer later: it also gets the name of the call, and returns nothing where
// Executor::host_reply or Executor::host_error gives the answer, from any thread. A message, whose answer nobody waits for, has
// no name.
using DeferredFunction = std::function<std::optional<Json>(std::string_view call, std::string_view request)>;

// Where a host function runs: on the thread that runs the call, or within Executor::poll, wait and finished. See
// arawn_host_function_set.
enum class On { call, poll };

// A submitted call that has ended.
struct Finished {
    std::string job;
    Reply reply;
};

namespace detail {

// A request's text while it grows.
class Request {
public:
    explicit Request(std::string_view executor) : text_("{\"executor\":" + quote(executor)) {}

    Request &add(std::string_view key, std::string_view text) { return add_known(key, quote(text)); }

    Request &add_known(std::string_view key, std::string_view json)
    {
        text_.append(",\"").append(key).append("\":").append(json);
        return *this;
    }

    // What is more than one value could pass for other keys of the request.
    Request &add_json(std::string_view key, const Json &json)
    {
        if (!is_one_value(json.str()))
            problem_ = "`" + std::string(key) + "` is not one JSON value";
        return add_known(key, json.str());
    }

    // An object with these members.
    Request &add_object(std::string_view key, const std::map<std::string, Json> &members)
    {
        std::string text;
        for (const auto &[name, json] : members) {
            if (!is_one_value(json.str()))
                problem_ = "`" + std::string(key) + "." + name + "` is not one JSON value";
            text.append(text.empty() ? "" : ",").append(quote(name)).append(":").append(json.str());
        }
        return add_known(key, "{" + text + "}");
    }

    // The members of an object.
    Request &add_members(const Json &object)
    {
        const std::string &json = object.str();
        const std::size_t begin = skip_space(json, 0), end = json.find_last_of('}');
        if (!is_one_value(json) || json[begin] != '{')
            problem_ = "the request is not one JSON object";
        else if (skip_space(json, begin + 1) != end)
            text_.append(",").append(json, begin + 1, end - begin - 1);
        return *this;
    }

    std::string str() { return std::move(text_ += '}'); }

    Reply send(char *(*function)(const char *))
    {
        return problem_.empty() ? arawn::call(function, str()) : refused("invalid_json", problem_);
    }

private:
    std::string text_, problem_{};
};

// What guests call, by the number that the library has as `user_data`. No number is used twice: a thread that comes
// when its function has gone finds nothing, rather than memory that was freed.
class Functions {
public:
    using Body = std::function<std::optional<Json>(std::string_view request)>;
    using Function = std::shared_ptr<const Body>;

    // Not destroyed at the program's end, when threads of the library may still run.
    static Functions &all()
    {
        static Functions &functions = *new Functions();
        return functions;
    }

    std::uintptr_t add()
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        functions_.emplace(++last_, nullptr);
        return last_;
    }

    // The old one is released by the caller, outside of the lock, which its destructor could want.
    Function swap(std::uintptr_t number, Function function)
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = functions_.find(number);
        if (found != functions_.end())
            found->second.swap(function);
        return function;
    }

    void remove(std::uintptr_t number)
    {
        decltype(functions_)::node_type removed;
        const std::lock_guard<std::mutex> lock(mutex_);
        removed = functions_.extract(number);
    }

    static char *run(const char *request, void *number) noexcept
    {
#ifdef __cpp_exceptions
        try {
            try {
                return all().answer(number, request);
            } catch (const Error &error) {
                return reply(error.reply());
            } catch (const std::exception &error) {
                return reply(refused("host_function_failed", error.what()));
            }
        } catch (...) {
            return nullptr; // The library tells the guest that there is no reply.
        }
#else
        return all().answer(number, request);
#endif
    }

private:
    static char *reply(const Reply &reply) { return arawn_string_new(reply.raw().c_str()); }

    // NULL where the answer comes later.
    char *answer(void *number, std::string_view request)
    {
        Function function;
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            const auto found = functions_.find(reinterpret_cast<std::uintptr_t>(number));
            function = found == functions_.end() ? nullptr : found->second;
        }
        if (!function)
            return reply(refused("host_function_failed", "the host function is no longer set"));
        const std::optional<Json> output = (*function)(request);
        if (!output)
            return nullptr;
        if (!is_one_value(output->str()))
            return reply(refused("host_function_failed", "the host function's output is not one JSON value"));
        return reply(Reply("{\"status\":\"ok\",\"output\":" + output->str() + "}"));
    }

    std::mutex mutex_{};
    std::map<std::uintptr_t, Function> functions_{};
    std::uintptr_t last_ = 0;
};

// How a host function is set.
struct Way {
    On on;
    bool deferred;

    bool operator<(const Way &other) const noexcept
    {
        return on != other.on ? on < other.on : deferred < other.deferred;
    }
};

constexpr Way ways[] = {{On::call, false}, {On::call, true}, {On::poll, false}, {On::poll, true}};

// What an executor's handle points to, so that it can be moved while functions are set.
class Opened {
public:
    explicit Opened(const std::string &id) : id_(id), close_request_(Request(id).str()) {}

    bool is_open() const noexcept { return is_open_; }
    std::string id() const { return is_open_ ? id_ : std::string(); }

    Reply closed() const
    {
        const std::string name = quote(id_);
        return refused("unknown_executor", "the executor " + name + " is closed", "{\"executor\":" + name + "}");
    }

    // The number of a function's place. There is one for each way to set it, so that a function never runs in another's.
    std::uintptr_t place(const std::string &name, Way way)
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        std::uintptr_t &number = places_[{name, way}];
        if (number == 0 && is_open_)
            number = Functions::all().add();
        return number;
    }

    // The library's reply; none where it is closed already. Nothing in here can throw.
    char *close() noexcept
    {
        if (!is_open_.exchange(false))
            return nullptr;
        char *const reply = arawn_executor_close(close_request_.c_str());
        decltype(places_) places;
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            places.swap(places_);
        }
        for (const auto &place : places)
            Functions::all().remove(place.second);
        return reply;
    }

private:
    const std::string id_, close_request_;
    std::atomic<bool> is_open_{true};
    std::mutex mutex_{};
    std::map<std::pair<std::string, Way>, std::uintptr_t> places_{};
};

inline std::string in_a_day(std::chrono::milliseconds wait)
{
    using std::chrono::milliseconds;
    return std::to_string(std::clamp(wait, milliseconds::zero(), milliseconds(std::chrono::hours(24))).count());
}

// Never by the name of one that is closed, which another one may have by now.
inline Reply send(const Opened &opened, Request &request, char *(*function)(const char *))
{
    if (!opened.is_open())
        return opened.closed();
    Reply reply = request.send(function);
    return !reply && !opened.is_open() && reply.code() == "unknown_executor" ? opened.closed() : reply;
}

inline std::optional<Reply> poll(const Opened &opened, std::string_view job, std::chrono::milliseconds wait)
{
    Request request(opened.id());
    Reply polled = send(opened, request.add("job", job).add_known("wait_ms", in_a_day(wait)), arawn_poll);
    if (!polled)
        return polled;
    const std::optional<std::string_view> reply = member(polled.output(), "reply");
    return reply ? std::make_optional<Reply>(std::string(*reply)) : std::nullopt;
}

inline Reply cancel(const Opened &opened, std::string_view job)
{
    Request request(opened.id());
    return send(opened, request.add("job", job), arawn_cancel);
}

} // namespace detail

// A call that Executor::async has begun, like a std::future. Destroying a job whose reply was not taken cancels the
// call, and waits the milliseconds until it has ended. It may outlive its executor: then its reply is "unknown_executor".
class Job {
public:
    Job(Job &&other) noexcept : opened_(std::move(other.opened_)), name_(std::move(other.name_)) {}
    Job &operator=(Job &&other) noexcept
    {
        Job taken(std::move(other));
        opened_.swap(taken.opened_);
        name_.swap(taken.name_);
        return *this;
    }
    ~Job()
    {
        if (!valid())
            return;
#ifdef __cpp_exceptions
        try {
            drop();
        } catch (...) {
            // There was no memory to ask; the reply waits until the executor is closed.
        }
#else
        drop();
#endif
    }

    // Whether there is a reply to take: once it was, or the job was moved from, there is none.
    bool valid() const noexcept { return opened_ != nullptr; }
    const std::string &name() const noexcept { return name_; }

    // Waits for the reply, and takes it. Host functions with On::poll run within it.
    Reply get()
    {
        for (;;)
            if (std::optional<Reply> reply = get_for(std::chrono::hours(24)))
                return *std::move(reply);
    }

    // The same, for so long, up to a day; none while the call is queued or runs.
    std::optional<Reply> get_for(std::chrono::milliseconds wait)
    {
        if (!valid())
            return detail::refused("unknown_job", "the job's reply was taken already");
        std::optional<Reply> reply = detail::poll(*opened_, name_, wait);
        if (reply)
            opened_.reset();
        return reply;
    }

    Reply cancel() const
    {
        return valid() ? detail::cancel(*opened_, name_)
                       : detail::refused("unknown_job", "the job's reply was taken already");
    }

private:
    friend class Executor;
    Job(std::shared_ptr<const detail::Opened> opened, std::string name) noexcept
        : opened_(std::move(opened)), name_(std::move(name))
    {
    }

    void drop()
    {
        cancel();
        get();
    }

    std::shared_ptr<const detail::Opened> opened_;
    std::string name_;
};

// A catalog, limits and capabilities: what calls may do. It closes itself. What was closed or moved from answers
// "unknown_executor".
class Executor {
public:
    // The configuration is that of arawn_executor_new.
    explicit Executor(const Json &config = "{}") : Executor(arawn::call(arawn_executor_new, config)) {}

    // Takes over the executor that arawn_executor_new has answered.
    explicit Executor(const Reply &opened)
        : opened_(std::make_shared<detail::Opened>(unquote(member(opened.output(), "executor").value_or(""))))
    {
    }

    Executor(Executor &&) noexcept = default;
    Executor &operator=(Executor &&other) noexcept
    {
        Executor taken(std::move(other));
        opened_.swap(taken.opened_);
        return *this;
    }
    ~Executor()
    {
        if (opened_)
            arawn_free(opened_->close());
    }

    // What the destructor does too: calls in flight finish, and when it returns no thread is inside of a host function,
    // unless it is called from within one.
    Reply close()
    {
        char *const reply = opened_ ? opened_->close() : nullptr;
        return reply ? Reply::take(reply) : closed();
    }

    // Its name in the requests of arawn.h; empty once it is closed.
    std::string id() const { return opened_ ? opened_->id() : std::string(); }

    // Calls a function of arawn.h whose request has "executor", with the other members of the request:
    // `executor.call(arawn_catalog_inspect, R"({"name": "csv"})")`.
    Reply call(char *(*function)(const char *), const Json &members = "{}") const
    {
        if (function == arawn_executor_close)
            return detail::refused("invalid_request", "an executor is closed by its close()");
        return send(detail::Request(id()).add_members(members), function);
    }

    // Runs a runtime and waits for it.
    Reply execute(std::string_view runtime, const Json &input = "{}", const Call &options = {}) const
    {
        return send(request(runtime, input, options), arawn_execute_runtime);
    }

    // Begins a call and returns at once: the job's name. Throws Error, such as "overloaded"; what is wrong with the
    // call itself is told by its reply.
    std::string submit(std::string_view runtime, const Json &input = "{}", const Call &options = {}) const
    {
        return job_of(send(request(runtime, input, options), arawn_submit));
    }

    // The same, as a Job that owns the reply: `executor.async("csv", input).get()`. Throws Error.
    Job async(std::string_view runtime, const Json &input = "{}", const Call &options = {}) const
    {
        return Job(opened_, submit(runtime, input, options));
    }

    // Runs a pipeline, a document of steps that hand their outputs on, and waits for it:
    //
    //     executor.execute_pipeline(R"({"steps": [{"name": "rows", "runtime": "csv"},
    //                                             {"name": "sum", "runtime": "add", "for_each": "rows"}]})")
    //
    // Steps that do not wait for each other run at the same time, and so may the host functions that they call. Where a
    // step fails the reply is its error. The details then have "step", "index" of the item, and "completed".
    Reply execute_pipeline(const Json &document, const PipelineCall &options = {}) const
    {
        return send(pipeline_request(document, options), arawn_execute_pipeline);
    }

    // Begins a pipeline and returns at once: the job's name. Throws Error, also where the document's shape is wrong.
    std::string submit_pipeline(const Json &document, const PipelineCall &options = {}) const
    {
        return job_of(send(pipeline_request(document, options), arawn_submit));
    }

    // The same, as a Job that owns the reply. Throws Error.
    Job async_pipeline(const Json &document, const PipelineCall &options = {}) const
    {
        return Job(opened_, submit_pipeline(document, options));
    }

    // Adds a runtime to the catalog, and shows it as inspect does. Waits for the compiler. Takes a Registration, or JSON
    // with the keys of arawn_catalog_register.
    Reply register_runtime(const Json &registration) const
    {
        return send(detail::Request(id()).add_members(registration), arawn_catalog_register);
    }
    Reply remove(std::string_view name) const { return send(detail::Request(id()).add("name", name), arawn_catalog_remove); }
    Reply inspect(std::string_view name) const
    {
        return send(detail::Request(id()).add("name", name), arawn_catalog_inspect);
    }
    // Its output has the runtimes that the executor serves.
    Reply list() const { return send(detail::Request(id()), arawn_catalog_list); }
    // The figures of the process, and those of the executor.
    Reply stats() const { return send(detail::Request(id()), arawn_stats); }

    // Begins a registration and returns at once: the job's name. A Registration, or JSON: the registration has the keys of
    // arawn_catalog_register, as in R"({"name": "csv", "path": "csv.wasm", "timeout_ms": 60000})", or for a script
    // R"({"name": "twice", "script": "return …", "language": "lua"})". Throws Error.
    std::string submit_registration(const Json &registration, std::string_view job = {}) const
    {
        detail::Request request(id());
        request.add_json("register", registration);
        if (!job.empty())
            request.add("job", job);
        return job_of(send(request, arawn_submit));
    }

    // A job's reply, which is handed out once; none while it is queued or runs. Waits for it, up to a day.
    std::optional<Reply> poll(std::string_view job, std::chrono::milliseconds wait = {}) const
    {
        return opened_ ? detail::poll(*opened_, job, wait) : closed();
    }

    // The same, however long it takes.
    Reply wait(std::string_view job) const
    {
        for (;;)
            if (std::optional<Reply> reply = poll(job, std::chrono::hours(24)))
                return *std::move(reply);
    }

    // Takes every job that has ended, or waits up to a day for one. For a frame loop. Throws Error.
    std::vector<Finished> finished(std::chrono::milliseconds wait = {}) const
    {
        const Reply reply = send(detail::Request(id()).add_known("wait_ms", detail::in_a_day(wait)), arawn_poll);
        std::vector<Finished> all;
        detail::each(member(reply.output(), "finished").value_or(""), [&all](std::string_view, std::string_view entry) {
            const std::string_view job = member(entry, "job").value_or(""), ended = member(entry, "reply").value_or("");
            all.push_back({unquote(job), Reply(std::string(ended))});
            return true;
        });
        return all;
    }

    // Stops a call that was given a name, submitted or not, on whichever thread it runs.
    Reply cancel(std::string_view job) const { return opened_ ? detail::cancel(*opened_, job) : closed(); }

    // Sets a function that guests call by name, replaces it, or unsets it where it is empty. The name must be one that
    // capabilities.host_functions has. When this returns no thread is inside of the old one, which is destroyed, unless
    // this is called from within a host function. Throws Error, and leaves the old one.
    void host_function(const std::string &name, HostFunction function, On on = On::call)
    {
        set(name, std::move(function), {on, false});
    }

    // The same for a function that may answer later. Calls that wait for an answer go on waiting when it is replaced or unset.
    void deferred_host_function(const std::string &name, DeferredFunction function, On on = On::call)
    {
        if (!function)
            return set(name, nullptr, {on, true});
        auto parted = [function = std::move(function)](std::string_view envelope) {
            const std::string_view call = member(envelope, "call").value_or("");
            const std::string_view request = member(envelope, "request").value_or("null");
            return function(call == "null" ? std::string() : unquote(call), request);
        };
        set(name, std::move(parted), {on, true});
    }

    // Answers a call that a deferred function has left open: with the output, or with the text of an error. Any thread may,
    // also before the function has returned. The reply is "unknown_call" where the call does not wait: it was answered
    // already, or its guest has ended.
    Reply host_reply(std::string_view call, const Json &output) const
    {
        if (!detail::is_one_value(output.str()))
            return detail::refused("invalid_json", "the output is not one JSON value");
        return answer(call, "{\"status\":\"ok\",\"output\":" + output.str() + "}");
    }
    Reply host_error(std::string_view call, std::string_view error) const
    {
        return answer(call, "{\"status\":\"error\",\"error\":" + quote(error) + "}");
    }

    // The descriptor for an event loop, readable while finished() has something to return or to run. It is the library's:
    // never read, written or closed, and watched no longer than the executor is open. Throws Error.
    int poll_descriptor() const
    {
        const Reply reply = send(detail::Request(id()), arawn_poll_descriptor);
        const std::string_view fd = member(reply.output(), "fd").value_or("");
        int number = -1;
        std::from_chars(fd.data(), fd.data() + fd.size(), number);
        return number;
    }

private:
    bool is_open() const noexcept { return opened_ && opened_->is_open(); }

    Reply closed() const
    {
        return opened_ ? opened_->closed() : detail::refused("unknown_executor", "the executor was moved from");
    }

    void set(const std::string &name, detail::Functions::Body function, detail::Way way)
    {
        if (!is_open())
            detail::fail(closed());
        auto &functions = detail::Functions::all();
        const bool is_set = static_cast<bool>(function);
        auto next = is_set ? std::make_shared<const detail::Functions::Body>(std::move(function)) : nullptr;
        const std::uintptr_t place = opened_->place(name, way);
        auto before = functions.swap(place, std::move(next));
        detail::Request request(id());
        request.add("name", name).add("on", way.on == On::poll ? "poll" : "call");
        request.add_known("deferred", way.deferred ? "true" : "false");
        const Reply reply = Reply::take(arawn_host_function_set(
            request.str().c_str(), is_set ? detail::Functions::run : nullptr, reinterpret_cast<void *>(place)));
        if (!reply) {
            functions.swap(place, std::move(before));
            detail::fail(is_open() ? reply : closed());
        }
        if (member(reply.output(), "running") == "0")
            for (const detail::Way other : detail::ways)
                if (const std::uintptr_t number = opened_->place(name, other); number != place)
                    functions.swap(number, nullptr);
    }

    Reply answer(std::string_view call, const std::string &reply) const
    {
        return send(detail::Request(id()).add("call", call).add_known("reply", reply), arawn_host_reply);
    }

    Reply send(detail::Request &request, char *(*function)(const char *)) const
    {
        return opened_ ? detail::send(*opened_, request, function) : closed();
    }
    Reply send(detail::Request &&request, char *(*function)(const char *)) const { return send(request, function); }

    detail::Request request(std::string_view runtime, const Json &input, const Call &options) const
    {
        detail::Request request(id());
        request.add("runtime", runtime).add_json("input", input);
        return with_options(std::move(request), options);
    }

    detail::Request pipeline_request(const Json &document, const PipelineCall &options) const
    {
        detail::Request request(id());
        request.add_json("pipeline", document).add_json("context", options.context);
        request.add_object("completed", options.completed);
        if (options.dry_run)
            request.add_known("dry_run", "true");
        return with_options(std::move(request), options);
    }

    // What calls and pipelines have alike.
    template <class Options>
    static detail::Request with_options(detail::Request request, const Options &options)
    {
        request.add_json("limits", options.limits);
        if (!options.job.empty())
            request.add("job", options.job);
        if (options.meta)
            request.add_known("meta", "true");
        return request;
    }

    // The name of a job that was begun.
    static std::string job_of(const Reply &submitted)
    {
        return unquote(member(submitted.output(), "job").value_or(""));
    }

    std::shared_ptr<detail::Opened> opened_;
};

} // namespace arawn

#endif // ARAWN_HPP
