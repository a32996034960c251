/* ONNX payloads are little-endian and are used in place, so nibble runs on little-endian
 * hosts only. This header does not compile on other hosts. */
#ifndef NIBBLE_CORE_ENDIAN_H
#define NIBBLE_CORE_ENDIAN_H

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "nibble needs a little-endian host: ONNX payloads are used in place"
#endif

#endif
