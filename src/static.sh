#!/bin/sh
# Makes the static library: static.sh OBJCOPY AR IN.a OUT.a CC [ARGUMENT...]
# Tells by its exit status whether that works: static.sh --check OBJCOPY AR CC [ARGUMENT...]
#
# Visibility hides nothing inside a static library. So all objects of IN become one, and
# what is hidden in it becomes local: a program may have functions of the same names.
set -eu

make_library() {
    objcopy=$1 ar=$2 in=$3 out=$4
    shift 4
    object=${out%.a}.o
    "$@" -r -nostdlib -Wl,--whole-archive "$in" -Wl,--no-whole-archive -o "$object"
    "$objcopy" --localize-hidden "$object"
    rm -f "$out"
    "$ar" rcs "$out" "$object"
    rm "$object"
}

# With a library of one object, made by the same tools: they may be those of another
# system than the compiler's target.
check() {
    objcopy=$1 ar=$2
    shift 2
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    echo 'int name;' >"$folder/name.c"
    "$@" -c "$folder/name.c" -o "$folder/name.o"
    "$ar" rcs "$folder/in.a" "$folder/name.o"
    make_library "$objcopy" "$ar" "$folder/in.a" "$folder/out.a" "$@"
}

if [ "$1" = --check ]; then
    shift
    check "$@"
else
    make_library "$@"
fi
