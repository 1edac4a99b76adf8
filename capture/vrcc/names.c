#include "names.h"

#include <ctype.h>
#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* ---- names of C++ ---- */

typedef char *demangler(const char *mangled, char *out, size_t *size, int *status);

/* libLLVM has brought the C++ library with it. */
static demangler *find_demangler(void)
{
    demangler *function = NULL;
    void *const symbol = dlsym(RTLD_DEFAULT, "__cxa_demangle");
    memcpy(&function, &symbol, sizeof function);
    return function;
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* Behind "operator" and what it is called, where that is no word: "operator()", "operator<<", "operator->". */
static size_t skip_operator(const char *text, size_t at)
{
    static const char word[] = "operator";
    const size_t length = sizeof word - 1;
    if (strncmp(text + at, word, length) != 0 || is_word(text[at + length]) || (at > 0 && is_word(text[at - 1])))
        return at;
    at += length;
    if (strncmp(text + at, "()", 2) == 0 || strncmp(text + at, "[]", 2) == 0)
        return at + 2;
    if (text[at] != ' ')
        return at + strspn(text + at, "+-*/%^&|~!=<>,");
    return at + strcspn(text + at, "("); /* a conversion, or an allocation */
}

/* Behind the bracket that closes the one at `at`. */
static size_t skip_brackets(const char *text, size_t at)
{
    int depth = 0;
    do {
        depth += strchr("(<[{", text[at]) != NULL;
        depth -= strchr(")>]}", text[at]) != NULL;
        at++;
    } while (depth > 0 && text[at]);
    return at;
}

/* Whether parameters begin here: not "(anonymous namespace)", nor a part of a type. */
static bool begins_parameters(const char *text, size_t at)
{
    return text[at] == '(' && at > 0 && text[at - 1] != ' ' && text[at - 1] != ':';
}

/* The text without parameters and what follows them, and without the type that comes before the name: of that, a space
 * outside of brackets tells. What is local to a function keeps the function's name before its own. */
static char *strip(const char *text)
{
    char *out = calloc(1, strlen(text) + 1);
    size_t length = 0;
    for (size_t at = 0; out && text[at];) {
        size_t next = skip_operator(text, at);
        if (next == at && begins_parameters(text, at)) {
            at = skip_brackets(text, at);
            at += strncmp(text + at, " const", 6) == 0 ? 6 : 0;
            if (strncmp(text + at, "::", 2) != 0)
                break;
            continue;
        }
        if (next == at)
            next = strchr("(<[{", text[at]) ? skip_brackets(text, at) : at + 1;
        const bool is_space = next == at + 1 && text[at] == ' ' && text[next] != '<'; /* "operator< <int>" */
        memcpy(out + length, text + at, is_space ? 0 : next - at);
        length = is_space ? 0 : length + (next - at);
        at = next;
    }
    if (out)
        out[length] = '\0';
    return out;
}

char *vrcc_qualified_name(const char *symbol)
{
    demangler *const demangle = strncmp(symbol, "_Z", 2) == 0 ? find_demangler() : NULL;
    int failed = 1;
    char *text = demangle ? demangle(symbol, NULL, NULL, &failed) : NULL, *name = NULL;
    if (text && failed == 0 && *text)
        name = strip(text);
    free(text);
    return name;
}

/* ---- debug information: nodes of metadata, whose operands stand as LLVM's DebugInfoMetadata.h says ---- */

enum { SCOPE = 1, NAME = 2, SYMBOL = 3 };

/* An operand of a node, NULL where there is none. */
static LLVMValueRef operand(LLVMContextRef context, LLVMMetadataRef node, unsigned index)
{
    const LLVMValueRef value = LLVMMetadataAsValue(context, node);
    const unsigned count = LLVMGetMDNodeNumOperands(value);
    if (index >= count)
        return NULL;
    LLVMValueRef *all = calloc(count, sizeof(LLVMValueRef));
    if (!all)
        abort();
    LLVMGetMDNodeOperands(value, all);
    const LLVMValueRef out = all[index];
    free(all);
    return out;
}

LLVMMetadataRef vrcc_function_of_scope(LLVMContextRef context, LLVMMetadataRef scope)
{
    while (scope) {
        const LLVMMetadataKind kind = LLVMGetMetadataKind(scope);
        if (kind == LLVMDISubprogramMetadataKind)
            return scope;
        if (kind != LLVMDILexicalBlockMetadataKind && kind != LLVMDILexicalBlockFileMetadataKind)
            return NULL;
        const LLVMValueRef outer = operand(context, scope, SCOPE);
        scope = outer ? LLVMValueAsMetadata(outer) : NULL;
    }
    return NULL;
}

static const char *text_of(LLVMValueRef value, unsigned *length)
{
    *length = 0;
    return value ? LLVMGetMDString(value, length) : NULL;
}

char *vrcc_symbol_of(LLVMContextRef context, LLVMMetadataRef function)
{
    unsigned length;
    const char *text = text_of(operand(context, function, SYMBOL), &length);
    if (!text || length == 0)
        text = text_of(operand(context, function, NAME), &length);
    char *symbol = strndup(text ? text : "", length);
    if (!symbol)
        abort();
    return symbol;
}
