/*
 * crc32c.h - the checksum of the spool and of PROXY headers (Castagnoli's polynomial, RFC 3720 B.4)
 *
 * crc32c(crc32c(seed, a), b) is crc32c(seed, ab): bytes may come in pieces. Begin with 0.
 */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(uint32_t seed, const void *bytes, size_t len);

/* Without the processor's own instruction; for tests. */
uint32_t crc32c_by_table(uint32_t seed, const void *bytes, size_t len);

#endif
