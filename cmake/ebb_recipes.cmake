# The recipes in data/recipes become part of the library, and it knows where the data lie: in the source
# tree, or where they were installed. EBB_DATA in the environment comes before both.
file(GLOB recipes CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/data/recipes/*.json)
string(REPLACE ";" "$<SEMICOLON>" joined "${recipes}")
add_custom_command(
  OUTPUT ${CMAKE_BINARY_DIR}/recipes.c
  COMMAND ${CMAKE_COMMAND} "-DRECIPES=${joined}" -DOUT=${CMAKE_BINARY_DIR}/recipes.c -P ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
  DEPENDS ${recipes} ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
  COMMENT "Embedding data/recipes" VERBATIM)
list(APPEND EBB_SOURCES ${CMAKE_BINARY_DIR}/recipes.c)
set_source_files_properties(src/dataset/find.c PROPERTIES COMPILE_DEFINITIONS
  "EBB_DATA_SOURCE=\"${CMAKE_SOURCE_DIR}/data\";EBB_DATA_INSTALLED=\"${CMAKE_INSTALL_FULL_DATADIR}/ebb\"")
