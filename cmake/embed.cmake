# Makes a C file that holds files as bytes, so that the library has them wherever it is installed: a table ebb_embedded_NAME
# of names, without folder and ending, and texts. Called by the build:
#   cmake "-DFILES=a.json;b.json" -DNAME=recipes -DOUT=x.c -P embed.cmake
set(arrays "")
set(rows "")
set(number 0)
foreach(path ${FILES})
  get_filename_component(name ${path} NAME_WE)
  file(READ ${path} hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(REGEX REPLACE "((0x..,){20})" "\\1\n    " bytes "${bytes}")
  string(APPEND arrays "static const unsigned char file_${number}[] = {\n    ${bytes}0x00\n};\n")
  string(APPEND rows "    {\"${name}\", (const char *)file_${number}},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE ${OUT} "/* Made by cmake/embed.cmake. */\n#include \"model/recipe.h\"\n\n${arrays}\n"
     "const ebb_embedded ebb_embedded_${NAME}[] = {\n${rows}    {NULL, NULL}\n};\n")
