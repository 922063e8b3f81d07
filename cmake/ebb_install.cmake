# cmake --install build --prefix DIR
configure_file(cmake/ebb.pc.in ebb.pc @ONLY)
install(TARGETS ebb_static ebb_shared LIBRARY ARCHIVE)
install(FILES include/ebb.h TYPE INCLUDE)
install(FILES ${CMAKE_BINARY_DIR}/ebb.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(DIRECTORY data/recipes data/mnist DESTINATION ${CMAKE_INSTALL_DATADIR}/ebb OPTIONAL)
