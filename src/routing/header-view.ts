import { AppError } from '../errors.ts'
import type { HeaderLines } from '../http/header-lines.ts'
import type { HeaderView } from '../http/request.ts'
import { isOurAuthorization } from '../lib/bearer.ts'
import { isForeign } from '../lib/foreign-headers.ts'
import { nominatedBy, normalName, reservedHeader } from '../lib/header-names.ts'

interface Field {
  /** Lower case. */
  readonly spelling: string
  value: string
  /** Sent in another spelling, too. */
  ambiguous: boolean
}

/**
 * The headers of a request as rules may look at them: what its upstream will see of what the client sent, and nothing
 * that proxies write (not even where a route lets it pass). Read when somebody asks for the first time.
 */
export class RequestHeaders implements HeaderView {
  readonly #lines: HeaderLines
  readonly #identity: ReadonlySet<string>
  #fields: ReadonlyMap<string, Field> | undefined

  /** @param identity normal names of the headers that say who is signed in. */
  constructor(lines: HeaderLines, identity: ReadonlySet<string>) {
    this.#lines = lines
    this.#identity = identity
  }

  get(name: string): string | undefined {
    this.#fields ??= readFields(this.#lines, this.#identity)
    const field = this.#fields.get(normalName(name))
    if (!field) return undefined
    if (field.ambiguous || field.spelling !== name) {
      throw new AppError('ERR_BAD_REQUEST', `headers: "${name}" was sent in a spelling that some servers take for it`)
    }
    return field.value
  }
}

/** By normal name. */
function readFields(lines: HeaderLines, identity: ReadonlySet<string>): ReadonlyMap<string, Field> {
  let nominated: Set<string> | undefined
  for (let i = 0; i < lines.count; i++) {
    if (lines.name(i).kind === 'connection') nominated = nominatedBy(lines.value(i), nominated)
  }
  const fields = new Map<string, Field>()
  for (let i = 0; i < lines.count; i++) {
    const { lower: spelling, normal } = lines.name(i)
    if (normal === 'cookie' || reservedHeader(normal, identity) !== undefined || isForeign(normal)) continue
    if (nominated?.has(spelling)) continue
    const value = lines.value(i)
    if (normal === 'authorization' && isOurAuthorization(value)) continue
    const known = fields.get(normal)
    if (!known) fields.set(normal, { spelling, value, ambiguous: false })
    else if (known.spelling === spelling) known.value += `, ${value}`
    else known.ambiguous = true
  }
  return fields
}
