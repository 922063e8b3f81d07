# Files of data/ that become part of the library; and it knows where the data lie: in the source tree, or where they were
# installed. EBB_DATA in the environment comes before both.
function(ebb_embed name)
  string(REPLACE ";" "$<SEMICOLON>" joined "${ARGN}")
  add_custom_command(
    OUTPUT ${CMAKE_BINARY_DIR}/${name}.c
    COMMAND ${CMAKE_COMMAND} "-DFILES=${joined}" -DNAME=${name} -DOUT=${CMAKE_BINARY_DIR}/${name}.c
            -P ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${ARGN} ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
    COMMENT "Embedding ${name}" VERBATIM)
endfunction()

file(GLOB recipes CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/data/recipes/*.json)
file(GLOB report CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/data/report/*)
ebb_embed(recipes ${recipes})
ebb_embed(report ${report})
list(APPEND EBB_SOURCES ${CMAKE_BINARY_DIR}/recipes.c ${CMAKE_BINARY_DIR}/report.c)
set_source_files_properties(src/dataset/find.c PROPERTIES COMPILE_DEFINITIONS
  "EBB_DATA_SOURCE=\"${CMAKE_SOURCE_DIR}/data\";EBB_DATA_INSTALLED=\"${CMAKE_INSTALL_FULL_DATADIR}/ebb\"")
