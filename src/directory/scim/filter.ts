/** `attribute eq "value"`: all that Okta sends (okta-api.md#scim-client). */
export interface EqualFilter {
  /** Lower case, without the core schema's URN. */
  readonly attribute: string
  readonly value: string
}

/** What an operation of a PATCH is about: one attribute (`name.givenname`), or one member of a group. */
export type PatchPath =
  | { readonly kind: 'attribute'; readonly name: string }
  | { readonly kind: 'member'; readonly value: string }

const MAX_LENGTH = 1000
/** An attribute, `eq`, a JSON string. No two parts can take the same character, so matching is linear. */
const EQUAL = /^\s*([a-z][\w:.$-]*)\s+eq\s+("(?:[^"\\]|\\.)*")\s*$/i
const ATTRIBUTE = /^[a-z][\w:.$-]*$/i
const MEMBER = /^members\[([^]*)\]$/i
const CORE = /^urn:ietf:params:scim:schemas:core:2\.0:(?:user|group):/

/** undefined: another filter than we have. */
export function parseFilter(text: string): EqualFilter | undefined {
  const [, attribute, literal] = (text.length <= MAX_LENGTH && EQUAL.exec(text)) || []
  const value = literal === undefined ? undefined : parseString(literal)
  return attribute === undefined || value === undefined ? undefined : { attribute: plain(attribute), value }
}

/** undefined: no path that we know how to follow. */
export function parsePath(text: string): PatchPath | undefined {
  if (text.length > MAX_LENGTH) return undefined
  const path = text.replace(/^urn:ietf:params:scim:schemas:core:2\.0:group:(?=members\[)/i, '')
  const [, condition] = MEMBER.exec(path) ?? []
  if (condition !== undefined) {
    const filter = parseFilter(condition)
    return filter?.attribute === 'value' ? { kind: 'member', value: filter.value } : undefined
  }
  return ATTRIBUTE.test(text) ? { kind: 'attribute', name: plain(text) } : undefined
}

function plain(attribute: string): string {
  return attribute.toLowerCase().replace(CORE, '')
}

function parseString(literal: string): string | undefined {
  try {
    return JSON.parse(literal) as string
  } catch {
    // A control character or an escape that JSON does not have: no string of this grammar (RFC 7644 §3.4.2.2).
    return undefined
  }
}
