/* names.h - what debug information says of the source: names of functions, and of C++ functions in particular. */
#ifndef VRCC_NAMES_H
#define VRCC_NAMES_H

#include <llvm-c/Core.h>
#include <llvm-c/DebugInfo.h>

/* The qualified name of a C++ function, its template's arguments with it, without return type and parameters:
 * "ns::sum<double>" of "_ZN2ns3sumIdEET_PKS1_i". NULL for a symbol that is no C++ function's, or where the C++ library
 * is not there. The caller's. */
char *vrcc_qualified_name(const char *symbol);

/* The function in which a scope of debug information stands; NULL where that is not told. */
LLVMMetadataRef vrcc_function_of_scope(LLVMContextRef context, LLVMMetadataRef scope);

/* The symbol of a function of debug information ("" where it has no name), the caller's. */
char *vrcc_symbol_of(LLVMContextRef context, LLVMMetadataRef function);

#endif
