#!/bin/sh
# Makes the static library: static.sh OBJCOPY AR IN.a OUT.a CC [ARGUMENT...]
#
# Visibility hides nothing inside a static library. So all objects of IN become one, and
# what is hidden in it becomes local: a program may have functions of the same names.
set -eu
objcopy=$1 ar=$2 in=$3 out=$4
shift 4
object=${out%.a}.o
"$@" -r -nostdlib -Wl,--whole-archive "$in" -Wl,--no-whole-archive -o "$object"
"$objcopy" --localize-hidden "$object"
rm -f "$out"
"$ar" rcs "$out" "$object"
rm "$object"
