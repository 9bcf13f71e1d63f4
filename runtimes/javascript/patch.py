"""Copies QuickJS's sources with what is changed in them: patch.py SOURCES DIRECTORY. Fails if a place is not there."""

import pathlib
import re
import sys

REPLACED = {
    "quickjs.c": [
        # Math.random seeds itself at its first use, so that nothing reads random numbers before a script asks.
        ("v = xorshift64star(&ctx->random_state);", "v = xorshift64star(engine_random_state(&ctx->random_state));"),
        # A chain of iterators recurses here, past the check that other calls of C functions make.
        (
            "            return func.iterator_next(ctx, enum_obj, argc, argv,\n",
            "            if (js_check_stack_overflow(ctx->rt, 0)) {\n"
            "                JS_ThrowStackOverflow(ctx);\n"
            "                goto fail;\n"
            "            }\n"
            "            return func.iterator_next(ctx, enum_obj, argc, argv,\n",
        ),
    ]
}

# Functions that recurse, with the bytes that their frames get in the memory's stack beside their own: see stack.h.
FRAMES = {
    "quickjs.c": {
        "JS_CallConstructorInternal": 80,
        "js_call_bound_function": 80,
        "JS_CallFree": 96,
        "JS_ToPrimitiveFree": 96,
        "JS_GetIterator": 64,
        "js_call_c_function": 96,
        "js_parse_for_in_of": 96,
        "js_parse_unary": 80,
        "js_parse_postfix_expr": 900,
        "js_parse_assign_expr2": 96,
        "js_parse_function_decl2": 300,
        "js_parse_class": 300,
        "js_parse_statement_or_decl": 80,
        "json_parse_value": 96,
        "internalize_json_property": 96,
        "js_json_to_str": 112,
        "JS_FlattenIntoArray": 96,
        "async_func_resume": 256,
        "js_iterator_helper_next": 144,
        "js_iterator_concat_next": 80,
        "js_proxy_has": 192,
        "js_proxy_get": 80,
        "js_proxy_set": 80,
        "js_proxy_get_own_property": 80,
        "js_proxy_define_own_property": 320,
        "js_proxy_delete_property": 240,
        "js_proxy_get_own_property_names": 480,
        "js_proxy_getPrototypeOf": 160,
        "js_proxy_setPrototypeOf": 192,
        "js_proxy_isExtensible": 80,
        "js_proxy_preventExtensions": 80,
        "js_proxy_call": 80,
    },
    "libregexp.c": {"re_parse_disjunction": 80, "re_parse_nested_class": 176},
}


def with_frames(text: str, frames: dict[str, int]) -> str:
    for name, size in frames.items():
        pattern = re.compile(rf"^(?!__attribute__)[a-zA-Z_][^\n;{{}}]*\b{name}\([^;{{}}]*\)\n\{{\n", re.M)
        # Apart from its callers, so that the frame is not theirs.
        text, count = pattern.subn(
            lambda found: f"__attribute__((noinline)) {found[0]}    STACK_FRAME({size});\n", text
        )
        if count != 1:
            raise SystemExit(f"patch.py: {name} is defined {count} times")
    return text


def main(sources: pathlib.Path, directory: pathlib.Path) -> None:
    for source in sorted(sources.glob("*.[ch]")):
        text = source.read_text()
        for old, new in REPLACED.get(source.name, []):
            if text.count(old) != 1:
                raise SystemExit(f"patch.py: {source.name} has {text.count(old)} times {old}")
            text = text.replace(old, new)
        (directory / source.name).write_text(with_frames(text, FRAMES.get(source.name, {})))


main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
