# Makes a C file that holds every data/recipes/*.json as bytes, so that the library finds its recipes
# wherever it is installed. Called by the build: cmake -DRECIPES=a.json;b.json -DOUT=x.c -P embed.cmake
set(arrays "")
set(rows "")
set(number 0)
foreach(path ${RECIPES})
  get_filename_component(name ${path} NAME_WE)
  file(READ ${path} hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(REGEX REPLACE "((0x..,){20})" "\\1\n    " bytes "${bytes}")
  string(APPEND arrays "static const unsigned char recipe_${number}[] = {\n    ${bytes}0x00\n};\n")
  string(APPEND rows "    {\"${name}\", (const char *)recipe_${number}},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE ${OUT} "/* Made by cmake/embed.cmake from data/recipes. */\n#include \"model/recipe.h\"\n\n${arrays}\n"
     "const ebb_embedded ebb_embedded_recipes[] = {\n${rows}    {NULL, NULL}\n};\n")
