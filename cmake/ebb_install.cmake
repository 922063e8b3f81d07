# cmake --install build --prefix DIR
# The pkg-config file finds its prefix from where it lies, so that --prefix and DESTDIR may move it.
file(RELATIVE_PATH EBB_PREFIX_FROM_PC /p/${CMAKE_INSTALL_LIBDIR}/pkgconfig /p)
configure_file(cmake/ebb.pc.in ebb.pc @ONLY)
install(TARGETS ebb_static ebb_shared LIBRARY ARCHIVE)
install(FILES include/ebb.h TYPE INCLUDE)
install(FILES ${CMAKE_BINARY_DIR}/ebb.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(DIRECTORY data/recipes data/mnist DESTINATION ${CMAKE_INSTALL_DATADIR}/ebb OPTIONAL)
