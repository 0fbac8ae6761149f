import { validator } from '../../lib/json-schema.ts'
import { EPOCH_MILLIS } from '../../lib/time.ts'
import type { Json, JsonObject, Span, Table } from '../../types.ts'
import { badRequest, isSameId, type Refusal, type Resource } from './message.ts'
import { notKept, type Operation } from './patch.ts'

/** A group without its members, which have a record each (members.ts). */
export interface ScimGroup extends Resource {
  readonly externalId?: string | undefined
  readonly displayName: string
  /** Who wrote this record: another value with each write, so that a writer knows the version that it made. */
  readonly writer?: string | undefined
  /** Somebody may still be adding members under this version. */
  readonly adding?: boolean | undefined
}

interface GroupAttributes {
  readonly displayname?: string | null
  readonly externalid?: string | null
}

const isGroupAttributes = validator<GroupAttributes>({
  type: 'object',
  properties: {
    displayname: { type: 'string', minLength: 1, maxLength: 1024, nullable: true },
    externalid: { type: 'string', minLength: 1, maxLength: 320, nullable: true },
  },
})

export function createGroup(body: JsonObject, id: string, now: Span): ScimGroup | Refusal {
  return withBody({ id, displayName: '', createdAt: now, changedAt: now }, body)
}

/** PUT: the body is the whole group. */
export function replaceGroup(group: ScimGroup, body: JsonObject): ScimGroup | Refusal {
  if (!isSameId(body['id'], group)) return badRequest('mutability', 'id cannot be changed')
  return withBody(group, body)
}

function withBody(base: ScimGroup, body: unknown): ScimGroup | Refusal {
  if (!isGroupAttributes(body)) return invalid('the body')
  const { displayname, externalid } = body
  if (typeof displayname !== 'string') return badRequest('invalidValue', 'displayName is required')
  return changed(base, externalid ?? base.externalId, displayname)
}

/** PATCH: all operations or none. What they say about members is read by members.ts. */
export function patchGroup(group: ScimGroup, operations: readonly Operation[]): ScimGroup | Refusal {
  let { externalId, displayName } = group
  for (const operation of operations) {
    const { op, target } = operation
    if (target.kind === 'member') {
      if (op === 'remove') continue
      return notKept(operation) ?? group
    }
    const value: Json = op === 'remove' ? null : (operation.value ?? null)
    const attributes: unknown = { [target.name]: value }
    switch (target.name) {
      case 'id':
        if (!isSameId(operation.value, group)) return badRequest('mutability', 'id cannot be changed')
        break
      case 'members':
        break
      case 'displayname':
        if (value === null) return badRequest('mutability', 'displayName cannot be removed')
        if (!isGroupAttributes(attributes)) return invalid('displayname')
        displayName = attributes.displayname ?? displayName
        break
      case 'externalid':
        if (!isGroupAttributes(attributes)) return invalid('externalid')
        externalId = attributes.externalid ?? undefined
        break
      default: {
        const refusal = notKept(operation)
        if (refusal) return refusal
      }
    }
  }
  return changed(group, externalId, displayName)
}

/** The attributes in one order, so that two texts of one group are the same. */
function changed(group: ScimGroup, externalId: string | undefined, displayName: string): ScimGroup {
  const { id, createdAt, changedAt, writer, adding } = group
  return { id, externalId, displayName, createdAt, changedAt, writer, adding }
}

function invalid(what: string): Refusal {
  const { instancePath = '', message = 'is not valid' } = isGroupAttributes.firstError() ?? {}
  return badRequest('invalidValue', `${instancePath.slice(1) || what} ${message}`)
}

const GROUP = {
  id: { type: 'string', minLength: 1 },
  externalId: { type: 'string', minLength: 1 },
  displayName: { type: 'string', minLength: 1 },
  createdAt: EPOCH_MILLIS,
  changedAt: EPOCH_MILLIS,
}
const REQUIRED = ['id', 'displayName', 'createdAt', 'changedAt']
const isGroup = validator<ScimGroup>({
  type: 'object',
  required: REQUIRED,
  properties: { ...GROUP, writer: { type: 'string' }, adding: { type: 'boolean' } },
})

/** `tag` names the issuer. */
export function createGroupsTable(tag: string): Table<ScimGroup> {
  return { name: `scim-groups-${tag}`, parse: (value) => (isGroup(value) ? value : undefined) }
}

/** As groups were kept until 0.1: with their members, and of whatever issuer. */
export type OlderGroup = ScimGroup & { readonly members: readonly string[] }

const isOlderGroup = validator<OlderGroup>({
  type: 'object',
  required: [...REQUIRED, 'members'],
  properties: { ...GROUP, members: { type: 'array', items: { type: 'string', minLength: 1 } } },
})

export const olderGroupsTable: Table<OlderGroup> = {
  name: 'scim-groups',
  parse: (value) => (isOlderGroup(value) ? value : undefined),
}
