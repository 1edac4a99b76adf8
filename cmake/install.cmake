# What is installed: libraries, headers, the program, manual pages, and for each library a pkg-config file and a CMake
# package. find_package(varanalyze-capture) gives varanalyze::capture, and find_package(varanalyze-trace) gives
# varanalyze::trace; find_package(varanalyze COMPONENTS capture) only passes on to these. Everything is found relative to
# the file that names it, so an installed tree can be moved.
set(libdir ${CMAKE_INSTALL_FULL_LIBDIR})
set(description_trace "Reads, compares and writes traces of training runs")
set(description_capture "Records a training run, so that it can be compared with another")

# Libraries find each other, and the program finds them, wherever the tree stands.
file(RELATIVE_PATH bin_to_lib ${CMAKE_INSTALL_FULL_BINDIR} ${libdir})
set_target_properties(vrtrace vrcapture PROPERTIES INSTALL_RPATH "\$ORIGIN")
set_target_properties(varanalyze PROPERTIES INSTALL_RPATH "\$ORIGIN/${bin_to_lib}")
install(TARGETS varanalyze)
set(libexec ${CMAKE_INSTALL_FULL_LIBEXECDIR}/varanalyze)
file(RELATIVE_PATH libexec_to_lib ${libexec} ${libdir})
set_target_properties(varanalyze-kernels PROPERTIES INSTALL_RPATH "\$ORIGIN/${libexec_to_lib}")
install(TARGETS varanalyze-kernels DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/varanalyze)
install(DIRECTORY formats/varanalyze libtrace/varanalyze capture/varanalyze
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
foreach(section 1 3)
    file(GLOB pages CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/docs/man/*.${section})
    install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()

# A static library asks its user for what it was built with; a shared one asks for nothing.
set(private_modules_trace "")
set(private_modules_capture "")
set(private_libraries "")
set(pc_static "")
set(static_dependencies "")
if(NOT BUILD_SHARED_LIBS)
    set(private_modules_trace "hdf5 libxxhash jansson libdeflate zlib")
    set(private_modules_capture "libxxhash jansson")
    # libarchive by its name: its module also asks for libraries whose development packages Debian does not bring along.
    set(private_libraries "-larchive ${OpenMP_C_FLAGS} -lm")
    set(pc_static " -DVR_STATIC")
    set(static_dependencies [[
find_dependency(OpenMP COMPONENTS C)
find_dependency(Threads)
find_dependency(ZLIB)
find_dependency(PkgConfig)
pkg_check_modules(HDF5 REQUIRED IMPORTED_TARGET hdf5)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(LIBARCHIVE REQUIRED IMPORTED_TARGET libarchive)
pkg_check_modules(DEFLATE REQUIRED IMPORTED_TARGET libdeflate)
]])
endif()
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX BASE_DIRECTORY ${libdir}/pkgconfig OUTPUT_VARIABLE pc_to_prefix)
cmake_path(RELATIVE_PATH CMAKE_INSTALL_FULL_INCLUDEDIR BASE_DIRECTORY ${libdir}/pkgconfig OUTPUT_VARIABLE pc_to_include)

set(generated ${PROJECT_BINARY_DIR}/install)
foreach(library trace capture)
    set(package varanalyze-${library})
    set(description "${description_${library}}")
    set(private_modules "${private_modules_${library}}")
    configure_file(cmake/varanalyze-${library}.pc.in ${generated}/${package}.pc @ONLY)
    install(FILES ${generated}/${package}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

    configure_file(cmake/varanalyze-${library}-config.cmake.in ${generated}/${package}-config.cmake @ONLY)
    write_basic_package_version_file(${generated}/${package}-config-version.cmake COMPATIBILITY SameMinorVersion)
    install(FILES ${generated}/${package}-config.cmake ${generated}/${package}-config-version.cmake
            DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/${package})
    install(TARGETS vr${library} EXPORT ${package})
    install(EXPORT ${package} NAMESPACE varanalyze:: FILE ${package}-targets.cmake
            DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/${package})
endforeach()

write_basic_package_version_file(${generated}/varanalyze-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES cmake/varanalyze-config.cmake ${generated}/varanalyze-config-version.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/varanalyze)
