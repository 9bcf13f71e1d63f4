#ifndef GREET_H
#define GREET_H

/*
 * Greets a person: {"config": {"greeting": "Hello"}, "context": {"name": "Ada"}} gives "Hello, Ada!".
 *
 * The input is JSON text that json_check has passed. The output is JSON text in memory of malloc; it is NULL where there
 * is none, and `error` then says why.
 */
char *greet(const char *input, const char **error);

#endif
