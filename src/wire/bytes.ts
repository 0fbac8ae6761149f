/** Classes of octets, as tables: a member is 1. */

function table(isMember: (octet: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, octet) => (isMember(octet) ? 1 : 0))
}

const DELIMITERS = '"(),/:;<=>?@[\\]{}'

/** `tchar` (RFC 9110 §5.6.2): methods and field names. */
export const TOKEN = table((octet) => octet > 0x20 && octet < 0x7f && !DELIMITERS.includes(String.fromCharCode(octet)))

/** What a field value consists of, blanks included (RFC 9110 §5.5): no control character but tab. */
export const FIELD_VALUE = table((octet) => octet === 0x09 || (octet >= 0x20 && octet !== 0x7f))

/** Printable ASCII: of a request target nothing else is read in only one way (RFC 9112 §3.2). */
export const TARGET = table((octet) => octet > 0x20 && octet < 0x7f)

export const CR = 0x0d
export const LF = 0x0a
export const SPACE = 0x20
export const TAB = 0x09
export const COLON = 0x3a
