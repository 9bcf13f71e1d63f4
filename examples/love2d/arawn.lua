-- libarawn for LuaJIT, in plain `luajit` as in LÖVE: this file and arawn_json.lua beside it, to be copied into a
-- program.
--
--     local arawn = require "arawn"
--
--     local executor = assert(arawn.executor { limits = { timeout_ms = 1000 } })
--     local output = assert(executor:execute("passthrough", { context = { greeting = "hello" } }))
--     print(output.context.greeting)
--     executor:close()
--
-- prints hello. What fails gives nil and an error: a table with `code`, `error` (a text for people) and `details`, as
-- the header lists them, and a tostring. What cannot be JSON at all is raised, and so is an option that there is not.
-- JSON's null is arawn.json.null.
--
-- The library is the file that the variable ARAWN_LIBRARY names, or else the installed one.
--
-- A Lua state belongs to one thread, so nothing here runs Lua on another: host functions run within `update`, `wait`
-- and `execute`, on the thread that calls these. Threads with a Lua state each, as those of love.thread, may share an
-- executor: one makes it, others `attach` to it, and one of them submits and polls.
local ffi = require "ffi"
-- Beside this file: `require "lib.arawn"` takes lib.arawn_json.
local json = require((type(...) == "string" and (...):match("^(.*[./])arawn$") or "") .. "arawn_json")

ffi.cdef [[
typedef char *(*arawn_host_function)(const char *request_json, void *user_data);
char *arawn_configure(const char *options_json);
char *arawn_executor_new(const char *config_json);
char *arawn_executor_close(const char *request_json);
char *arawn_submit(const char *request_json);
char *arawn_poll(const char *request_json);
char *arawn_poll_descriptor(const char *request_json);
char *arawn_host_reply(const char *request_json);
char *arawn_cancel(const char *request_json);
char *arawn_host_function_set(const char *request_json, arawn_host_function callback, void *user_data);
char *arawn_string_new(const char *text);
char *arawn_catalog_list(const char *request_json);
char *arawn_catalog_inspect(const char *request_json);
char *arawn_catalog_register(const char *request_json);
char *arawn_catalog_remove(const char *request_json);
char *arawn_stats(const char *request_json);
const char *arawn_version(void);
void arawn_free(char *json);
]]

local library = ffi.load(os.getenv("ARAWN_LIBRARY") or (jit.os == "OSX" and "libarawn.0.dylib" or "libarawn.so.0"))
local LONGEST_WAIT_S = 86400

local arawn = { json = json }

-- What takes JSON and returns JSON, and nothing else, as `arawn.call` has it.
local FUNCTIONS = {
    "cancel", "catalog_inspect", "catalog_list", "catalog_register", "catalog_remove", "configure", "executor_close",
    "executor_new", "host_reply", "poll", "poll_descriptor", "stats", "submit",
}
-- The options of a call.
local OPTIONS = { "config", "context", "job", "limits", "meta" }

local function has(list, wanted)
    for _, one in ipairs(list) do
        if one == wanted then
            return true
        end
    end
    return false
end

local Error = {}
Error.__index = Error
function Error:__tostring()
    return ("%s: %s"):format(self.code, self.error)
end

-- Polling runs host functions, and compiled code must not call what calls back into Lua: hence jit.off. The reply is
-- released even where there is no memory to copy it.
local function invoke(name, ...)
    local reply = ffi.gc(library["arawn_" .. name](...), library.arawn_free)
    local text = ffi.string(reply)
    library.arawn_free(ffi.gc(reply, nil))
    return text
end
jit.off(invoke)

-- A reply's output, or nil and the error.
local function opened(reply)
    if reply.status == "ok" then
        return reply.output
    end
    return nil, setmetatable({ code = reply.code, error = reply.error, details = reply.details }, Error)
end

-- Calls a function of the header by its name without `arawn_`: one that takes JSON and returns JSON.
function arawn.call(name, request)
    if name == "execute_runtime" then
        error("arawn_execute_runtime keeps this thread, on which a guest's host functions would run: use submit or an "
            .. "executor's execute", 2)
    elseif not has(FUNCTIONS, name) then
        local known = table.concat(FUNCTIONS, ", ")
        error(("arawn_%s is not called so; these are: %s"):format(tostring(name), known), 2)
    end
    return opened(json.decode(invoke(name, json.encode(request))))
end

local function closed(executor)
    local text = ("the executor %s is closed"):format(json.encode(executor.id))
    return setmetatable({ code = "unknown_executor", error = text, details = { executor = executor.id } }, Error)
end

-- Asks for what the text of a request says, but never by the name of an executor that is closed, which another one may
-- have by now.
local function ask_text(executor, name, text)
    if executor.is_closed then
        return nil, closed(executor)
    end
    local output, err = opened(json.decode(invoke(name, text)))
    if err and err.code == "unknown_executor" and executor.is_closed then
        err = closed(executor)
    end
    return output, err
end

local function ask(executor, name, request)
    request.executor = executor.id
    return ask_text(executor, name, json.encode(request))
end

-- What the whole process shares, before the first executor.
function arawn.configure(options)
    return arawn.call("configure", options)
end

function arawn.version()
    return ffi.string(library.arawn_version())
end

-- The host functions of this Lua state's executors, by the number that the library passes back. It does not keep them:
-- their executors do.
local functions, last_number = setmetatable({}, { __mode = "v" }), 0

local function answer(request, user_data)
    local run = functions[tonumber(ffi.cast("intptr_t", user_data))] or error("the host function is no longer set", 0)
    local output = run(json.decode(ffi.string(request)))
    return json.encode { status = "ok", output = output == nil and json.null or output }
end

-- The one callback for all of them, since LuaJIT has room for some hundreds; it goes with the Lua state. No error may
-- leave it, as there is C below.
local callback = ffi.cast("arawn_host_function", function(request, user_data)
    local fine, reply = pcall(answer, request, user_data)
    if not fine then
        local told, text = pcall(tostring, reply)
        reply = json.encode { status = "error", error = told and tostring(text) or "an error without a text" }
    end
    return library.arawn_string_new(reply)
end)

local Job = {}
Job.__index = Job

-- Waits until the call has ended, at most `seconds`, else as long as it takes. Gives its output, or nil and the error;
-- while it has not ended, nil alone.
function Job:wait(seconds)
    local left = seconds or math.huge
    while not self.reply do
        local slice = math.min(left, LONGEST_WAIT_S)
        local output, err = ask(self.executor, "poll", { job = self.name, wait_ms = math.ceil(slice * 1000) })
        if not output then
            return nil, err
        elseif output.reply then
            self.reply, self.executor.jobs[self.name] = output.reply, nil
        else
            left = left - slice
            if left <= 0 then
                return nil
            end
        end
    end
    return opened(self.reply)
end

-- Stops the call, whose error is then `cancelled`. True, or nil and the error `unknown_job` where it has ended.
function Job:cancel()
    local output, err = ask(self.executor, "cancel", { job = self.name })
    return output and true, err
end

local Executor = {}
Executor.__index = Executor

-- The executor of that name, which another Lua state has made and will close: `close` here only lets it go.
function arawn.attach(id)
    return setmetatable({ id = id, jobs = {}, ended = {}, functions = {} }, Executor)
end

-- Makes an executor; `config` has the keys of arawn_executor_new. It is closed by `close`, or when it is collected.
function arawn.executor(config)
    local policy, err = arawn.call("executor_new", config or {})
    if not policy then
        return nil, err
    end
    local self = arawn.attach(policy.executor)
    self.owned = ffi.gc(ffi.new("char[1]"), function()
        invoke("executor_close", json.encode { executor = policy.executor })
    end)
    return self
end

-- Drops the calls that have not ended, and the replies that nobody has taken. What is closed stays so, whoever has its
-- name later.
function Executor:close()
    if self.is_closed then
        return nil, closed(self)
    end
    self.is_closed = true
    if not self.owned then
        return { executor = self.id }
    end
    ffi.gc(self.owned, nil)
    self.owned = nil
    return arawn.call("executor_close", { executor = self.id })
end

-- A call as JSON, in which errors have the paths of `call`.
local function request_text(executor, runtime, call)
    for option in pairs(call) do
        if not has(OPTIONS, option) then
            local known = table.concat(OPTIONS, ", ")
            error(("a call has no option `%s`; it has: %s"):format(tostring(option), known), 0)
        end
    end
    local input = {}
    for _, part in ipairs { "config", "context" } do
        if call[part] ~= nil then
            input[#input + 1] = ('"%s":'):format(part) .. json.encode(call[part], part)
        end
    end
    local request = json.encode {
        executor = executor.id, runtime = runtime, job = call.job, limits = call.limits, meta = call.meta,
    }
    return request:sub(1, -2) .. ',"input":{' .. table.concat(input, ",") .. "}}"
end

-- The job of what was submitted.
local function begun(executor, done, output, err)
    if not output then
        return nil, err
    end
    local job = setmetatable({ executor = executor, name = output.job, done = done }, Job)
    executor.jobs[job.name] = job
    return job
end

-- The keys of arawn_catalog_register but `executor`.
local function registration_of(name, entry)
    local registration = { name = name }
    for key, value in pairs(entry) do
        if key == "name" or key == "executor" then
            error(("`%s` is told already, and not by the entry"):format(key), 3)
        end
        registration[key] = value
    end
    return registration
end

-- Begins a call and returns its job at once. `call` has `config`, `context`, `limits`, `meta` and `job` (a name), each
-- of which may be left out. `done(output, err, meta)` is what `update` calls when it has ended.
function Executor:submit(runtime, call, done)
    return begun(self, done, ask_text(self, "submit", request_text(self, runtime, call or {})))
end

-- Begins a registration and returns its job at once, so that a frame need not wait for the compiler. `entry` is that of
-- `register`, and may have a `job` (a name). `done(output, err)` is what `update` calls when it has ended.
function Executor:submit_registration(name, entry, done)
    local registration = registration_of(name, entry)
    local job = registration.job
    registration.job = nil
    return begun(self, done, ask(self, "submit", { register = registration, job = job }))
end

-- Runs a runtime and waits for its output. (Not by arawn_execute_runtime: its guest could ask this thread nothing.)
function Executor:execute(runtime, call)
    local job, err = self:submit(runtime, call)
    if not job then
        return nil, err
    end
    return job:wait()
end

-- For each frame: runs the host functions that guests wait for, and hands each job that has ended to its `done`; gives
-- how many have. It waits up to `seconds` for the first, without that not at all. What a `done` raises is passed on,
-- and the jobs after it are kept for the next `update`.
function Executor:update(seconds)
    local wait_ms = math.ceil(math.min(seconds or 0, LONGEST_WAIT_S) * 1000)
    local output, err = ask(self, "poll", { wait_ms = wait_ms })
    if not output then
        return nil, err
    end
    for _, entry in ipairs(output.finished) do
        local job = self.jobs[entry.job] or setmetatable({ executor = self, name = entry.job }, Job)
        self.jobs[entry.job], job.reply = nil, entry.reply
        table.insert(self.ended, job)
    end
    local count = 0
    while self.ended[1] do
        local job = table.remove(self.ended, 1)
        count = count + 1
        if job.done then
            local result, problem = opened(job.reply)
            job.done(result, problem, job.reply.meta)
        end
    end
    return count
end

-- Sets the function that guests call by a name, which `capabilities` must list under `host_functions`; nil unsets it.
-- It gets what the guest asks, and the guest gets its result, or as an error what it raises. It cannot yield.
function Executor:host_function(name, run)
    if self.is_closed then
        return nil, closed(self)
    end
    local number = nil
    if run then
        last_number = last_number + 1
        number = last_number
        functions[number] = run
    end
    local request = json.encode { executor = self.id, name = name, on = "poll" }
    local text = invoke("host_function_set", request, run and callback or nil, ffi.cast("void *", number or 0))
    local output, err = opened(json.decode(text))
    if output then
        self.functions[name] = run
    end
    return output, err
end

-- Adds a runtime to the catalog; `entry` has the keys of arawn_catalog_register, such as `path`, `replace` and
-- `timeout_ms`, or for a script its text as `script` and a `language`, "lua" or "javascript". It waits for the compiler,
-- longer than a frame: while a game runs, use `submit_registration`, or have another thread do it.
function Executor:register(name, entry)
    return ask(self, "catalog_register", registration_of(name, entry))
end

function Executor:inspect(name)
    return ask(self, "catalog_inspect", { name = name })
end

function Executor:remove(name)
    return ask(self, "catalog_remove", { name = name })
end

function Executor:runtimes()
    local output, err = ask(self, "catalog_list", {})
    return output and output.runtimes, err
end

function Executor:stats()
    return ask(self, "stats", {})
end

return arawn
