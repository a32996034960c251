/* ONNX payloads are little-endian and are used where they lie, so nibble runs
 * on little-endian hosts only; any other is refused here, when compiled. */
#ifndef NIBBLE_CORE_ENDIAN_H
#define NIBBLE_CORE_ENDIAN_H

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "nibble needs a little-endian host: ONNX payloads are used as they lie in the file"
#endif

#endif
