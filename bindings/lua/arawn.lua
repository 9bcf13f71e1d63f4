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
-- prints hello. What fails gives nil and an error: a table with `code`, `message` (a text for people) and `details`, as
-- the header lists them, and a tostring. What cannot be JSON at all is raised, and so is an option that there is not.
-- JSON's null is arawn.json.null, and arawn.json.raw(text) is JSON that is a text already.
--
-- The library is the file that the variable ARAWN_LIBRARY names, or else the installed one.
--
-- A Lua state belongs to one thread, so nothing here runs Lua on another: host functions run within `poll`, `wait`,
-- `execute` and `execute_pipeline`, on the thread that calls these. Threads with a Lua state each, as those of
-- love.thread, may share an executor: one makes it, others `attach` to it, and one of them submits and polls.
local ffi = require "ffi"
-- Beside this file: `require "lib.arawn"` takes lib.arawn_json.
local json = require((type(...) == "string" and (...):match("^(.*[./])arawn$") or "") .. "arawn_json")

ffi.cdef [[
typedef char *(*arawn_host_function)(const char *request_json, void *user_data);
char *arawn_configure(const char *options_json);
char *arawn_executor_new(const char *config_json);
char *arawn_executor_close(const char *request_json);
char *arawn_execute_runtime(const char *request_json);
char *arawn_execute_pipeline(const char *request_json);
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
-- A poll does not end when a deferred function begins to wait: where there are any, waits are so long at most.
local SLICE_S = 0.005

local arawn = { json = json }

-- What takes JSON and returns JSON, and nothing else, as `arawn.call` has it.
local FUNCTIONS = {
    "cancel", "catalog_inspect", "catalog_list", "catalog_register", "catalog_remove", "configure", "executor_close",
    "executor_new", "host_reply", "poll", "poll_descriptor", "stats", "submit",
}
-- The options of a call, of a pipeline, and of a host function.
local CALL_OPTIONS, FUNCTION_OPTIONS = { "config", "context", "job", "limits", "meta", "raw" }, { "deferred" }
local PIPELINE_OPTIONS = { "completed", "context", "dry_run", "job", "limits", "meta", "raw" }
-- Those of the first two that a request has beside what is to run.
local CALL_MEMBERS = { "job", "limits", "meta" }
local PIPELINE_MEMBERS = { "completed", "context", "dry_run", "job", "limits", "meta" }
-- Of a poll the replies are left as they stand, and of a call with `raw` the output.
local REPLIES, RAW_OUTPUT = { reply = true }, { output = true }

local function has(list, wanted)
    for _, one in ipairs(list) do
        if one == wanted then
            return true
        end
    end
    return false
end

-- How many letters are to be put in, left out or changed to make one word of another.
local function distance(from, to)
    local row = {}
    for column = 0, #to do
        row[column] = column
    end
    for line = 1, #from do
        local before = row[0]
        row[0] = line
        for column = 1, #to do
            local change = before + (from:byte(line) == to:byte(column) and 0 or 1)
            before = row[column]
            row[column] = math.min(change, row[column] + 1, row[column - 1] + 1)
        end
    end
    return row[#to]
end

local function check_options(options, known, what)
    for option in pairs(options) do
        if not has(known, option) then
            local problem = ("%s has no option `%s`; it has: %s"):format(what, option, table.concat(known, ", "))
            for _, near in ipairs(known) do
                if type(option) == "string" and distance(option, near) <= 2 then
                    problem = ("%s. Did you mean `%s`?"):format(problem, near)
                end
            end
            error(problem, 0)
        end
    end
end

local Error = {}
Error.__index = Error
function Error:__tostring()
    return ("%s: %s"):format(self.code, self.message)
end

-- The reply is released even where there is no memory to copy it.
local function taken(reply)
    local fine, text = pcall(ffi.string, reply)
    library.arawn_free(reply)
    return fine and text or error(text, 0)
end

-- Polling runs host functions, and compiled code must not call what calls back into Lua: hence jit.off.
local function invoke(name, ...)
    return taken(library["arawn_" .. name](...))
end
jit.off(invoke)

-- A reply's output, or nil and the error; and what `meta` asked for.
local function opened(reply)
    if reply.status == "ok" then
        if reply.meta then
            return reply.output, nil, reply.meta
        end
        return reply.output
    end
    return nil, setmetatable({ code = reply.code, message = reply.error, details = reply.details }, Error)
end

-- Calls a function of the header by its name without `arawn_`: one that takes JSON and returns JSON.
function arawn.call(name, request)
    if name == "execute_runtime" or name == "execute_pipeline" then
        local instead = name == "execute_runtime" and "execute" or name
        error(("arawn_%s keeps this thread, on which a guest's host functions would run: use submit or an "
            .. "executor's %s"):format(name, instead), 2)
    elseif not has(FUNCTIONS, name) then
        local known = table.concat(FUNCTIONS, ", ")
        error(("arawn_%s is not called so; these are: %s"):format(tostring(name), known), 2)
    end
    return opened(json.decode(invoke(name, json.encode(request))))
end

local function closed(executor)
    local message = ("the executor %s is closed"):format(json.encode(executor.id))
    return setmetatable({ code = "unknown_executor", message = message, details = { executor = executor.id } }, Error)
end

-- Asks for what the text of a request says, but never by the name of an executor that is closed, which another one may
-- have by now.
local function ask_text(executor, name, text, keep)
    if executor.is_closed then
        return nil, closed(executor)
    end
    local output, err = opened(json.decode(invoke(name, text), keep))
    if err and err.code == "unknown_executor" and executor.is_closed then
        err = closed(executor)
    end
    return output, err
end

local function ask(executor, name, request, keep)
    request.executor = executor.id
    return ask_text(executor, name, json.encode(request), keep)
end

-- What the whole process shares, before the first executor.
function arawn.configure(options)
    return arawn.call("configure", options)
end

-- Figures of the whole process; `executor:stats()` adds those of an executor.
function arawn.stats()
    return arawn.call("stats", {})
end

function arawn.version()
    return ffi.string(library.arawn_version())
end

-- The host functions of this Lua state's executors, by the number that the library passes back. It does not keep them:
-- their executors do.
local functions, last_number = setmetatable({}, { __mode = "v" }), 0

local function refusal(problem)
    local told, text = pcall(tostring, problem)
    return json.encode { status = "error", error = told and tostring(text) or "an error without a text" }
end

local function output_of(run, request)
    local output = run(request)
    return '{"status":"ok","output":' .. json.encode(output == nil and json.null or output, "output") .. "}"
end

local function answer_later(executor, call, reply)
    local request = ('{"executor":%s,"call":%s,"reply":'):format(json.encode(executor.id), json.encode(call))
    local _, err = ask_text(executor, "host_reply", request .. reply .. "}")
    -- Where the guest has ended nobody waits; else it is told why the reply was refused.
    if err and err.code ~= "unknown_call" and err.code ~= "unknown_executor" then
        ask_text(executor, "host_reply", request .. refusal(err.message) .. "}")
    end
end

-- Runs a deferred function in a coroutine: its reply, or nothing where the coroutine waits and answers later.
local function answer_deferred(set, called)
    local reply, has_returned
    local thread = coroutine.create(function()
        local fine, text = pcall(output_of, set.run, called.request)
        reply = fine and text or refusal(text)
        if has_returned and called.call ~= json.null then
            answer_later(set.executor, called.call, reply)
        end
    end)
    coroutine.resume(thread)
    has_returned = true
    return reply
end

local function answer(request, user_data)
    local set = functions[tonumber(ffi.cast("intptr_t", user_data))] or error("the host function is no longer set", 0)
    local asked = json.decode(ffi.string(request))
    if set.deferred then
        return answer_deferred(set, asked)
    end
    return output_of(set.run, asked)
end

-- The one callback for all of them, since LuaJIT has room for some hundreds; it goes with the Lua state. No error may
-- leave it, as there is C below.
local callback = ffi.cast("arawn_host_function", function(request, user_data)
    local fine, reply = pcall(answer, request, user_data)
    if not fine then
        reply = refusal(reply)
    end
    return reply and library.arawn_string_new(reply) or nil
end)

local Job = {}
Job.__index = Job

-- Takes the text of the reply. Coroutines that await it go on in the next `poll`.
local function finish(job, text)
    job.reply = json.decode(text, job.raw and RAW_OUTPUT)
    job.executor.jobs[job.name] = nil
    for _, thread in ipairs(job.waiting or {}) do
        table.insert(job.executor.woken, thread)
    end
    job.waiting = nil
end

-- Polls, for at most so long, and keeps what has ended; true, or nil and an error. `name` is the one job to wait for,
-- else it is any.
local function take(executor, wait_s, name)
    local request = { wait_ms = math.ceil(wait_s * 1000), job = name }
    local output, err = ask(executor, "poll", request, REPLIES)
    if not output then
        return nil, err
    end
    for _, entry in ipairs(output.finished or (output.reply and { output }) or {}) do
        local job = executor.jobs[entry.job] or setmetatable({ executor = executor, name = entry.job }, Job)
        finish(job, entry.reply)
        if not name then
            table.insert(executor.ended, job)
        end
    end
    return true
end

-- Those that rest go on as well.
local function wake(executor)
    for _, thread in ipairs(executor.resting) do
        table.insert(executor.woken, thread)
    end
    executor.resting = {}
    return executor.woken[1] ~= nil
end

-- Resumes the coroutines that have waited long enough. What one raises is passed on, and the others are kept for the
-- next time.
local function resume(executor)
    while executor.woken[1] do
        local thread = table.remove(executor.woken, 1)
        local fine, problem = coroutine.resume(thread)
        if not fine then
            error(debug.traceback(thread, tostring(problem)), 0)
        end
    end
end

-- Waits until the call has ended, at most `seconds`, else as long as it takes. Gives its output, or nil and the error,
-- and third what `meta` asked for; while it has not ended, nil alone. Deferred host functions go on meanwhile.
function Job:wait(seconds)
    local executor, left = self.executor, seconds or math.huge
    while not self.reply do
        local defers = executor.defers
        local slice = math.min(left, defers and (wake(executor) and 0 or SLICE_S) or LONGEST_WAIT_S)
        local fine, err = take(executor, slice, not defers and self.name or nil)
        if not fine then
            return nil, err
        elseif defers then
            resume(executor)
        end
        left = left - slice
        if left <= 0 and not self.reply then
            return nil
        end
    end
    return opened(self.reply)
end

-- Stops the call, whose error is then `cancelled`. True, or nil and the error `unknown_job` where it has ended.
function Job:cancel()
    return self.executor:cancel(self.name)
end

local Executor = {}
Executor.__index = Executor

-- The executor of that name, which another Lua state has made and will close: `close` here only lets it go.
function arawn.attach(id)
    return setmetatable({ id = id, jobs = {}, ended = {}, functions = {}, resting = {}, woken = {} }, Executor)
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

-- Drops the calls that have not ended, and the replies that nobody has taken; coroutines that await one go on with the
-- error `unknown_executor`. What is closed stays so, whoever has its name later.
function Executor:close()
    if self.is_closed then
        return nil, closed(self)
    end
    self.is_closed = true
    local output, err = { executor = self.id }, nil
    if self.owned then
        ffi.gc(self.owned, nil)
        self.owned = nil
        output, err = arawn.call("executor_close", { executor = self.id })
    end
    for _, job in pairs(self.jobs) do
        for _, thread in ipairs(job.waiting or {}) do
            table.insert(self.woken, thread)
        end
    end
    self.jobs = {}
    wake(self)
    resume(self)
    return output, err
end

-- A request with those of the options that are among its members, each with its name as the path of errors.
local function with_options(text, options, members)
    for index = 1, #members do
        local member = members[index]
        local value = options[member]
        if value ~= nil then
            text = text .. ',"' .. member .. '":' .. json.encode(value, member)
        end
    end
    return text
end

-- A call as JSON, in which errors have the paths of `call`.
local function request_text(executor, runtime, call)
    check_options(call, CALL_OPTIONS, "a call")
    local text = '{"executor":' .. json.encode(executor.id) .. ',"runtime":' .. json.encode(runtime, "runtime")
    text = with_options(text, call, CALL_MEMBERS)
    local config, context = call.config, call.context
    config = config ~= nil and '"config":' .. json.encode(config, "config") or ""
    context = context ~= nil and '"context":' .. json.encode(context, "context") or ""
    return text .. ',"input":{' .. config .. (config ~= "" and context ~= "" and "," or "") .. context .. "}}"
end

local function pipeline_text(executor, document, options)
    check_options(options, PIPELINE_OPTIONS, "a pipeline")
    local text = '{"executor":' .. json.encode(executor.id) .. ',"pipeline":' .. json.encode(document, "pipeline")
    return with_options(text, options, PIPELINE_MEMBERS) .. "}"
end

-- The job of what was submitted.
local function begun(executor, done, raw, output, err)
    if not output then
        return nil, err
    end
    local job = setmetatable({ executor = executor, name = output.job, done = done, raw = raw }, Job)
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
    if entry.wasm then
        registration.wasm, registration.wasm_base64 = nil, json.base64(entry.wasm)
    end
    return registration
end

-- Begins a call and returns its job at once. `call` has `config`, `context`, `limits`, `meta`, `job` (a name) and `raw`
-- (true: the output stays the JSON text that the runtime wrote), each of which may be left out. `done(output, err,
-- meta)` is what `poll` calls when it has ended.
function Executor:submit(runtime, call, done)
    call = call or {}
    return begun(self, done, call.raw, ask_text(self, "submit", request_text(self, runtime, call)))
end

-- Begins a pipeline and returns its job at once. `document` and `options` are those of `execute_pipeline`.
-- `done(output, err, meta)` is what `poll` calls when it has ended.
function Executor:submit_pipeline(document, options, done)
    options = options or {}
    return begun(self, done, options.raw, ask_text(self, "submit", pipeline_text(self, document, options)))
end

-- Begins a registration and returns its job at once, so that a frame need not wait for the compiler. `entry` is that of
-- `register`, and may have a `job` (a name). `done(output, err)` is what `poll` calls when it has ended.
function Executor:submit_registration(name, entry, done)
    local registration = registration_of(name, entry)
    local job = registration.job
    registration.job = nil
    return begun(self, done, false, ask(self, "submit", { register = registration, job = job }))
end

-- Runs what the text of a request says by a function that keeps this thread, and waits for its output.
local function run(executor, execute, text, raw)
    if executor.is_closed then
        return nil, closed(executor)
    elseif next(executor.functions) then
        -- Not by that function: its guests could ask this thread nothing.
        local job, err = begun(executor, nil, raw, ask_text(executor, "submit", text))
        if not job then
            return nil, err
        end
        return job:wait()
    end
    return opened(json.decode(taken(execute(text)), raw and RAW_OUTPUT))
end

-- Runs a runtime and waits for its output; third comes what `meta` asked for.
function Executor:execute(runtime, call)
    call = call or {}
    return run(self, library.arawn_execute_runtime, request_text(self, runtime, call), call.raw)
end

-- Runs a pipeline and waits for its output; third comes what `meta` asked for. `document` has the `steps`, in which
-- `needs = json.array {}` stands for none. `options` has `context`, `limits`, `meta`, `job` and `raw` as of a call,
-- `completed` (outputs by the names of their steps, which then do not run) and `dry_run` (true: the document is only
-- checked, and the output lists its steps; not in a submission). Where a step fails, the `details` of the error have
-- `step`, `index` (of the item, of a step with `for_each`) and `completed` (the names of the steps that ended well).
function Executor:execute_pipeline(document, options)
    options = options or {}
    local text = pipeline_text(self, document, options)
    if options.dry_run and not self.is_closed then
        return opened(json.decode(taken(library.arawn_execute_pipeline(text)), options.raw and RAW_OUTPUT))
    end
    return run(self, library.arawn_execute_pipeline, text, options.raw)
end

-- Stops a call by its name, submitted or not, on whichever thread it runs.
function Executor:cancel(job)
    local output, err = ask(self, "cancel", { job = job })
    return output and true, err
end

-- Waits in a coroutine until the job has ended, and gives what `job:wait` would; without a job, until the next `poll`.
-- It is `poll` that goes on with the coroutine.
function Executor:await(job)
    local thread, is_main = coroutine.running()
    if not thread or is_main then
        error("await waits in a coroutine; elsewhere it is job:wait() that waits", 2)
    end
    if not job then
        if not self.is_closed then
            table.insert(self.resting, thread)
            coroutine.yield()
        end
        return
    end
    while not job.reply and not self.is_closed do
        job.waiting = job.waiting or {}
        table.insert(job.waiting, thread)
        coroutine.yield()
    end
    if not job.reply then
        return nil, closed(self)
    end
    return opened(job.reply)
end

-- For each frame: runs the host functions that guests wait for, hands each job that has ended to its `done`, and goes
-- on with the coroutines that have awaited one; gives how many have ended. It waits up to `seconds` for the first,
-- without that not at all. What a `done` or a coroutine raises is passed on, and the rest is kept for the next `poll`.
function Executor:poll(seconds)
    local left = math.min(seconds or 0, LONGEST_WAIT_S)
    repeat
        local slice = (wake(self) or self.ended[1]) and 0 or math.min(left, self.defers and SLICE_S or left)
        local fine, err = take(self, slice)
        if not fine then
            return nil, err
        end
        left = left - slice
    until left <= 0 or self.ended[1] or self.woken[1] or self.resting[1]
    local count = 0
    while self.ended[1] do
        local job = table.remove(self.ended, 1)
        count = count + 1
        if job.done then
            job.done(opened(job.reply))
        end
    end
    resume(self)
    return count
end

-- Sets the function that guests call by a name, which `capabilities` must list under `host_functions`; nil unsets it.
-- It gets what the guest asks, and the guest gets its result, or as an error what it raises. It cannot yield, unless
-- `options` has `deferred = true`: then each call of it is a coroutine, which may `await` while the guest waits.
function Executor:host_function(name, run, options)
    options = options or {}
    check_options(options, FUNCTION_OPTIONS, "a host function")
    if self.is_closed then
        return nil, closed(self)
    end
    local number, set = nil, nil
    if run then
        last_number = last_number + 1
        number, set = last_number, { run = run, deferred = options.deferred, executor = self }
        functions[number] = set
    end
    local request = json.encode { executor = self.id, name = name, on = "poll", deferred = options.deferred }
    local text = invoke("host_function_set", request, run and callback or nil, ffi.cast("void *", number or 0))
    local output, err = opened(json.decode(text))
    if output then
        self.functions[name], self.defers = set, self.defers or options.deferred
    end
    return output, err
end

-- Adds a runtime to the catalog; `entry` has the keys of arawn_catalog_register, such as `path`, `replace` and
-- `timeout_ms`, or `wasm` with the module's bytes, or for a script its text as `script` and a `language`, "lua" or
-- "javascript". It waits for the compiler, longer than a frame: while a game runs, use `submit_registration`, or have
-- another thread do it.
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
