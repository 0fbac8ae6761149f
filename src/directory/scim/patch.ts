import { validator } from '../../lib/json-schema.ts'
import type { Json, JsonObject } from '../../types.ts'
import { isObject } from './body.ts'
import { type PatchPath, parsePath } from './filter.ts'
import { badRequest, type Refusal } from './message.ts'

/** One change to one attribute. */
export interface Operation {
  readonly op: 'add' | 'remove' | 'replace'
  readonly target: PatchPath
  readonly value: Json | undefined
  /** It came inside a value without a path: attributes that we do not keep may come along. */
  readonly alongside: boolean
}

const MAX_OPERATIONS = 1000
/** What may come along: any attribute or extension by its plain name, but nothing that addresses a part of one. */
const PLAIN_NAME = /^(?:[a-z][\w$-]*|urn:[\w:.-]+)$/

const isPatch = validator<{
  readonly operations: readonly { readonly op: string; readonly path?: string | null; readonly value?: Json }[]
}>({
  type: 'object',
  required: ['operations'],
  properties: {
    operations: {
      type: 'array',
      minItems: 1,
      maxItems: MAX_OPERATIONS,
      items: {
        type: 'object',
        required: ['op'],
        properties: { op: { type: 'string' }, path: { type: 'string', nullable: true } },
      },
    },
  },
})

/**
 * The operations of a PATCH (RFC 7644 §3.5.2), in order, each about one attribute: a value without a path, as Okta sends it,
 * is taken apart. Operation names have no case (Entra sends `Replace`).
 */
export function parseOperations(body: JsonObject): readonly Operation[] | Refusal {
  if (!isPatch(body))
    return badRequest('invalidSyntax', `Operations must be a list of 1 to ${MAX_OPERATIONS} operations`)
  const parsed: Operation[] = []
  for (const { op: name, path, value } of body.operations) {
    const op = name.toLowerCase()
    if (op !== 'add' && op !== 'remove' && op !== 'replace') {
      return badRequest('invalidSyntax', 'op must be add, remove or replace')
    }
    if (typeof path === 'string') {
      const target = parsePath(path)
      if (!target) return unknownPath(path)
      parsed.push({ op, target, value, alongside: false })
      continue
    }
    if (op === 'remove') return badRequest('noTarget', 'remove needs a path')
    if (!isObject(value)) return badRequest('invalidValue', `${op} without a path needs an object of attributes`)
    for (const [key, item] of Object.entries(value)) {
      const target = parsePath(key)
      if (!target) return unknownPath(key)
      parsed.push({ op, target, value: item, alongside: true })
    }
  }
  return parsed
}

/** The answer to an operation on an attribute that a resource does not keep; undefined: it only came along. */
export function notKept({ target, alongside }: Operation): Refusal | undefined {
  if (target.kind === 'member') return unknownPath('members[…]')
  return alongside && PLAIN_NAME.test(target.name) ? undefined : unknownPath(target.name)
}

function unknownPath(path: string): Refusal {
  return badRequest('invalidPath', `there is no path ${JSON.stringify(path.slice(0, 100))} here`)
}
