import { Ajv } from 'ajv'
import type { Json, JsonObject, Millis, Table } from '../../types.ts'
import { badRequest, isRefusal, isSameId, type Refusal, type Resource } from './message.ts'
import { notKept, type Operation } from './patch.ts'

export interface ScimGroup extends Resource {
  readonly externalId?: string | undefined
  readonly displayName: string
  /**
   * Ids of users in the order in which they came, none twice. An id that no user has is nobody, now and later: ids are
   * ours, random, and never given twice. So a member need not exist, and a push in which one is unknown still removes others.
   */
  readonly members: readonly string[]
}

interface GroupAttributes {
  readonly displayname?: string | null
  readonly externalid?: string | null
  readonly members?: readonly { readonly value: string }[] | null
}

/** A group of everybody in an org of 100,000. */
const MAX_MEMBERS = 100_000
const MEMBERS = {
  type: 'array',
  maxItems: MAX_MEMBERS,
  items: {
    type: 'object',
    required: ['value'],
    properties: { value: { type: 'string', minLength: 1, maxLength: 100 } },
  },
} as const

const ajv = new Ajv()
const isGroupAttributes = ajv.compile<GroupAttributes>({
  type: 'object',
  properties: {
    displayname: { type: 'string', minLength: 1, maxLength: 1024, nullable: true },
    externalid: { type: 'string', minLength: 1, maxLength: 320, nullable: true },
    members: { ...MEMBERS, nullable: true },
  },
})

export function createGroup(body: JsonObject, id: string, now: Millis): ScimGroup | Refusal {
  return withBody({ id, displayName: '', members: [], createdAt: now, changedAt: now }, body)
}

/**
 * PUT: the body is the whole group. Members that it leaves out are removed, all of them when it names none at all:
 * serialisers drop empty lists, and a group that keeps its members by mistake keeps their access.
 */
export function replaceGroup(group: ScimGroup, body: JsonObject): ScimGroup | Refusal {
  if (!isSameId(body['id'], group)) return badRequest('mutability', 'id cannot be changed')
  const { id, externalId, createdAt, changedAt } = group
  return withBody({ id, externalId, displayName: '', members: [], createdAt, changedAt }, body)
}

function withBody(base: ScimGroup, body: unknown): ScimGroup | Refusal {
  if (!isGroupAttributes(body)) return invalid('the body')
  const { displayname, externalid, members } = body
  if (typeof displayname !== 'string') return badRequest('invalidValue', 'displayName is required')
  const values = new Set((members ?? []).map(({ value }) => value))
  return {
    id: base.id,
    externalId: externalid ?? base.externalId,
    displayName: displayname,
    members: [...values],
    createdAt: base.createdAt,
    changedAt: base.changedAt,
  }
}

interface Draft {
  externalId: string | undefined
  displayName: string
  readonly members: Set<string>
}

/** PATCH: all operations or none. */
export function patchGroup(group: ScimGroup, operations: readonly Operation[]): ScimGroup | Refusal {
  const { externalId, displayName } = group
  const draft: Draft = { externalId, displayName, members: new Set(group.members) }
  for (const operation of operations) {
    const refusal = applyOperation(draft, group, operation)
    if (refusal) return refusal
  }
  if (draft.members.size > MAX_MEMBERS) return badRequest('tooMany', `a group has at most ${MAX_MEMBERS} members`)
  return {
    id: group.id,
    externalId: draft.externalId,
    displayName: draft.displayName,
    members: [...draft.members],
    createdAt: group.createdAt,
    changedAt: group.changedAt,
  }
}

/** undefined: done. */
function applyOperation(draft: Draft, group: ScimGroup, operation: Operation): Refusal | undefined {
  const { op, target } = operation
  if (target.kind === 'member') {
    if (op !== 'remove') return notKept(operation)
    draft.members.delete(target.value)
    return undefined
  }
  const value = op === 'remove' ? null : (operation.value ?? null)
  const attributes: unknown = { [target.name]: value }
  switch (target.name) {
    case 'id':
      return isSameId(operation.value, group) ? undefined : badRequest('mutability', 'id cannot be changed')
    case 'members':
      return changeMembers(draft.members, operation)
    case 'displayname':
      if (value === null) return badRequest('mutability', 'displayName cannot be removed')
      if (!isGroupAttributes(attributes)) return invalid('displayname')
      draft.displayName = attributes.displayname ?? draft.displayName
      return undefined
    case 'externalid':
      if (!isGroupAttributes(attributes)) return invalid('externalid')
      draft.externalId = attributes.externalid ?? undefined
      return undefined
    default:
      return notKept(operation)
  }
}

/** The RFC knows `remove members` without a value, which is all of them; a value names those that are meant (Entra). */
function changeMembers(members: Set<string>, { op, value }: Operation): Refusal | undefined {
  const none = value === undefined || value === null
  if (none && op === 'add') return badRequest('invalidValue', 'members must be a list')
  const given = memberIds(none ? [] : value)
  if (isRefusal(given)) return given
  if (op === 'remove' && !none && given.length === 0) {
    return badRequest('invalidValue', 'remove members with an empty list could mean all of them or none')
  }
  if (op === 'replace' || (op === 'remove' && none)) members.clear()
  for (const id of given) {
    if (op === 'remove') members.delete(id)
    else members.add(id)
  }
  return undefined
}

function memberIds(value: Json): readonly string[] | Refusal {
  const attributes: unknown = { members: Array.isArray(value) ? value : [value] }
  if (!isGroupAttributes(attributes)) return invalid('members')
  return (attributes.members ?? []).map((member) => member.value)
}

function invalid(what: string): Refusal {
  const { instancePath = '', message = 'is not valid' } = isGroupAttributes.errors?.[0] ?? {}
  return badRequest('invalidValue', `${instancePath.slice(1) || what} ${message}`)
}

const isGroup = ajv.compile<ScimGroup>({
  type: 'object',
  required: ['id', 'displayName', 'members', 'createdAt', 'changedAt'],
  properties: {
    id: { type: 'string', minLength: 1 },
    externalId: { type: 'string', minLength: 1 },
    displayName: { type: 'string', minLength: 1 },
    members: { type: 'array', items: { type: 'string', minLength: 1 } },
    createdAt: { type: 'number' },
    changedAt: { type: 'number' },
  },
})

export const groupsTable: Table<ScimGroup> = {
  name: 'scim-groups',
  parse: (value) => (isGroup(value) ? value : undefined),
}
