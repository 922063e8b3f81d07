# What every object of ours is compiled with.
#
# -ffp-contract=off is part of the specification: fma is written by hand, so that scalar and vector
# kernels give the same bits. Warnings are errors with the compilers that ebb is tested with; newer ones
# may know warnings that we have not seen.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

set(tested OFF)
if((CMAKE_C_COMPILER_ID STREQUAL "GNU" AND CMAKE_C_COMPILER_VERSION VERSION_LESS 13) OR
   (CMAKE_C_COMPILER_ID STREQUAL "Clang" AND CMAKE_C_COMPILER_VERSION VERSION_LESS 15))
  set(tested ON)
endif()
option(EBB_WERROR "Warnings are errors" ${tested})

add_library(ebb_compiler INTERFACE)
target_compile_options(ebb_compiler INTERFACE -Wall -Wextra $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes> -ffp-contract=off -fno-math-errno)
if(EBB_WERROR)
  target_compile_options(ebb_compiler INTERFACE -Werror)
endif()

if(EBB_SANITIZE)
  set(known address undefined thread)
  if(NOT EBB_SANITIZE IN_LIST known)
    message(FATAL_ERROR "EBB_SANITIZE is \"${EBB_SANITIZE}\": use address, undefined or thread")
  endif()
  target_compile_options(ebb_compiler INTERFACE -fsanitize=${EBB_SANITIZE} -fno-omit-frame-pointer -g)
  target_link_options(ebb_compiler INTERFACE -fsanitize=${EBB_SANITIZE})
  if(EBB_SANITIZE STREQUAL "undefined")
    # A finding has to fail the test that made it.
    target_compile_options(ebb_compiler INTERFACE -fno-sanitize-recover=all)
  endif()
endif()
