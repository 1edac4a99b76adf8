#!/bin/sh
# install_test.sh tree|pkg_config|cmake|cxx: installs the build into a scratch prefix; builds user.c against it with
# pkg-config, with CMake, as C++; runs it and reads its trace with the installed program. ctest sets CMAKE, BUILD,
# SCRATCH, CC, CFLAGS (sanitizers must be the same on both sides), STATIC (--static or nothing), BINDIR and LIBDIR.
set -eu
: "${CMAKE:?}" "${BUILD:?}" "${CC:?}" "${BINDIR:?}" "${LIBDIR:?}"
unset DESTDIR LD_LIBRARY_PATH
part=$1
source=$(cd "$(dirname "$0")" && pwd)/user.c
prefix=$SCRATCH/prefix
export PKG_CONFIG_PATH="$prefix/$LIBDIR/pkgconfig"

skip() {
    echo "skipped: $*"
    exit 77
}

# The tree is moved after its installation: nothing in it may name the place.
install_tree() {
    rm -rf "$prefix" "$prefix.before"
    "$CMAKE" --install "$BUILD" --prefix "$prefix.before"
    ! grep -rlI "$prefix" "$prefix.before" || return 1
    mv "$prefix.before" "$prefix"
    "$prefix/$BINDIR/varanalyze" help >/dev/null
}

# compile COMPILER FLAG...: user.c into ./user
compile() {
    libdir=$(pkg-config --variable=libdir varanalyze-capture)
    # shellcheck disable=SC2046,SC2086  # lists of flags
    "$@" -Wall -Wextra -Wpedantic -Werror $CFLAGS user.c -o user \
        $(pkg-config --cflags --libs $STATIC varanalyze-capture) -Wl,-rpath,"$libdir"
}

build_with_cmake() {
    for find in 'varanalyze-capture' 'varanalyze COMPONENTS capture trace'; do
        rm -rf build
        cat >CMakeLists.txt <<END
cmake_minimum_required(VERSION 3.22)
project(user LANGUAGES C)
find_package($find REQUIRED)
add_executable(user user.c)
target_link_libraries(user PRIVATE varanalyze::capture)
END
        "$CMAKE" -S . -B build -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$CC" -DCMAKE_C_FLAGS="$CFLAGS"
        "$CMAKE" --build build
        cp build/user user
    done
}

cxx_compiler() {
    case $CC in
    *clang*) command -v clang++ || command -v c++ ;;
    *) command -v g++ || command -v c++ ;;
    esac
}

if [ "$part" = tree ]; then
    install_tree
    exit
fi

work=${SCRATCH:?}/$part
rm -rf "$work"
mkdir "$work"
cd "$work"
cp "$source" .
case $part in
pkg_config) compile "$CC" -std=c11 ;;
cmake) build_with_cmake ;;
cxx)
    cxx=$(cxx_compiler) || skip "no C++ compiler"
    compile "$cxx" -std=c++17 -x c++
    ;;
esac
VR_TRACE=user.h5 ./user
"$prefix/$BINDIR/varanalyze" info user.h5
VR_ARCHIVE=user.tar ./user
"$prefix/$BINDIR/varanalyze" info user.tar:run.h5
