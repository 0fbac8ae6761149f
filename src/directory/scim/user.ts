import { validator } from '../../lib/json-schema.ts'
import { EPOCH_MILLIS } from '../../lib/time.ts'
import type { Json, JsonObject, Span, Subject, Table } from '../../types.ts'
import { badRequest, isRefusal, isSameId, type Refusal, type Resource } from './message.ts'
import { notKept, type Operation } from './patch.ts'

/** What is kept of a person: who they are, whether they are active, and what the client will want to read again. */
export interface ScimUser extends Resource {
  /** Okta's user id: the join to OIDC `sub`. Without it nobody is found by a sign-in. */
  readonly externalId?: Subject | undefined
  readonly userName: string
  readonly active: boolean
  readonly displayName?: string | undefined
  readonly locale?: string | undefined
  readonly name?: Name | undefined
  readonly emails: readonly Email[]
}

interface Name {
  readonly formatted?: string | undefined
  readonly familyName?: string | undefined
  readonly givenName?: string | undefined
  readonly middleName?: string | undefined
}

interface Email {
  readonly value: string
  readonly type?: string | undefined
  readonly primary?: boolean | undefined
  readonly display?: string | undefined
}

/** The attributes that we keep as a request names them; null is "not assigned" (RFC 7643 §2.5). */
interface UserAttributes {
  readonly username?: string | null
  readonly externalid?: string | null
  readonly active?: boolean | string | null
  readonly displayname?: string | null
  readonly locale?: string | null
  readonly name?: {
    readonly formatted?: string | null
    readonly familyname?: string | null
    readonly givenname?: string | null
    readonly middlename?: string | null
  } | null
  readonly emails?: readonly RequestedEmail[] | null
}

interface RequestedEmail {
  readonly value: string
  readonly type?: string | null
  readonly primary?: boolean | null
  readonly display?: string | null
}

const MAX_EMAILS = 20
const TEXT = { type: 'string', maxLength: 1024 } as const
const OPTIONAL_TEXT = { ...TEXT, nullable: true } as const
const WORD = { type: 'string', minLength: 1, maxLength: 320 } as const
const OPTIONAL_WORD = { ...WORD, nullable: true } as const

const isUserAttributes = validator<UserAttributes>({
  type: 'object',
  properties: {
    username: OPTIONAL_WORD,
    externalid: OPTIONAL_WORD,
    // Some clients send the word instead of the value; a deactivation must not fail on that.
    active: { anyOf: [{ type: 'boolean' }, { type: 'string', pattern: '^([Tt]rue|[Ff]alse)$' }, { type: 'null' }] },
    displayname: OPTIONAL_TEXT,
    locale: OPTIONAL_TEXT,
    name: {
      type: 'object',
      nullable: true,
      properties: {
        formatted: OPTIONAL_TEXT,
        familyname: OPTIONAL_TEXT,
        givenname: OPTIONAL_TEXT,
        middlename: OPTIONAL_TEXT,
      },
    },
    emails: {
      type: 'array',
      nullable: true,
      maxItems: MAX_EMAILS,
      items: {
        type: 'object',
        required: ['value'],
        properties: {
          value: WORD,
          type: OPTIONAL_TEXT,
          primary: { type: 'boolean', nullable: true },
          display: OPTIONAL_TEXT,
        },
      },
    },
  },
})

const KEPT: ReadonlySet<string> = new Set([
  'username',
  'externalid',
  'active',
  'displayname',
  'locale',
  'name',
  'name.formatted',
  'name.familyname',
  'name.givenname',
  'name.middlename',
  'emails',
])
/** A person without one of these could not be found, or not be judged. */
const REQUIRED: ReadonlySet<string> = new Set(['username', 'externalid', 'active'])

/** A new person; active unless said. The password that Okta makes up is not even looked at. */
export function createUser(body: JsonObject, id: string, now: Span): ScimUser | Refusal {
  return withBody({ id, userName: '', active: true, emails: [], createdAt: now, changedAt: now }, body)
}

/**
 * PUT: what the body does not mention is cleared, except who this is (Okta's PUT has no externalId) and whether they are
 * active (leaving it out must not bring anybody back). Groups and other read-only attributes are ignored (RFC 7644 §3.5.1).
 */
export function replaceUser(user: ScimUser, body: JsonObject): ScimUser | Refusal {
  if (!isSameId(body['id'], user)) return badRequest('mutability', 'id cannot be changed')
  const { id, externalId, userName, active, createdAt, changedAt } = user
  if (typeof body['username'] !== 'string') return badRequest('invalidValue', 'userName is required')
  return withBody({ id, externalId, userName, active, emails: [], createdAt, changedAt }, body)
}

/** PATCH: all operations or none. */
export function patchUser(user: ScimUser, operations: readonly Operation[]): ScimUser | Refusal {
  let patched: ScimUser | Refusal = user
  for (const operation of operations) {
    patched = applyOperation(patched, operation)
    if (isRefusal(patched)) return patched
  }
  return patched
}

function applyOperation(user: ScimUser, operation: Operation): ScimUser | Refusal {
  const { op, target } = operation
  const name = target.kind === 'attribute' ? target.name : undefined
  if (name === 'id') return isSameId(operation.value, user) ? user : badRequest('mutability', 'id cannot be changed')
  if (name === 'password') return user
  if (name === 'groups' && !operation.alongside) {
    return badRequest('mutability', 'groups is read-only: a membership is changed in the group')
  }
  if (name === undefined || !KEPT.has(name)) return notKept(operation) ?? user
  const value = op === 'remove' ? null : (operation.value ?? null)
  if (value === null && REQUIRED.has(name)) return badRequest('mutability', `${name} cannot be removed`)
  const attributes = attributesOf(name, value)
  if (!isUserAttributes(attributes)) return invalid(name)
  const emails = op === 'add' ? appended(user.emails, attributes.emails) : attributes.emails
  if (emails && emails.length > MAX_EMAILS) return badRequest('tooMany', `a user has at most ${MAX_EMAILS} emails`)
  return withAttributes(user, emails === undefined ? attributes : { ...attributes, emails })
}

/** `name.givenname` and a value as the request would have written them without a path. */
function attributesOf(path: string, value: Json): unknown {
  const [name = '', part] = path.split('.')
  return { [name]: part === undefined ? value : { [part]: value } }
}

function appended(
  emails: readonly Email[],
  added: UserAttributes['emails'],
): readonly RequestedEmail[] | null | undefined {
  if (!added) return added
  const values = new Set(added.map(({ value }) => value))
  return [...emails.filter(({ value }) => !values.has(value)).map(toRequested), ...added]
}

function toRequested({ value, type, primary, display }: Email): RequestedEmail {
  return { value, type: type ?? null, primary: primary ?? null, display: display ?? null }
}

function withBody(base: ScimUser, body: unknown): ScimUser | Refusal {
  if (!isUserAttributes(body)) return invalid('the body')
  const user = withAttributes(base, body)
  return user.userName === '' ? badRequest('invalidValue', 'userName is required') : user
}

function withAttributes(base: ScimUser, given: UserAttributes): ScimUser {
  return {
    id: base.id,
    externalId: given.externalid ?? base.externalId,
    userName: given.username ?? base.userName,
    active: given.active === undefined || given.active === null ? base.active : isTrue(given.active),
    displayName: assigned(given.displayname, base.displayName),
    locale: assigned(given.locale, base.locale),
    name: given.name === undefined ? base.name : withName(base.name, given.name),
    emails: given.emails === undefined ? base.emails : (given.emails ?? []).map(toEmail),
    createdAt: base.createdAt,
    changedAt: base.changedAt,
  }
}

function withName(base: Name | undefined, given: NonNullable<UserAttributes['name']> | null): Name | undefined {
  return given === null
    ? undefined
    : {
        formatted: assigned(given.formatted, base?.formatted),
        familyName: assigned(given.familyname, base?.familyName),
        givenName: assigned(given.givenname, base?.givenName),
        middleName: assigned(given.middlename, base?.middleName),
      }
}

function toEmail({ value, type, primary, display }: RequestedEmail): Email {
  return { value, type: type ?? undefined, primary: primary ?? undefined, display: display ?? undefined }
}

function assigned(given: string | null | undefined, kept: string | undefined): string | undefined {
  return given === undefined ? kept : (given ?? undefined)
}

function isTrue(active: boolean | string): boolean {
  return typeof active === 'boolean' ? active : active.toLowerCase() === 'true'
}

/** Names the attribute by its place alone: a value may be a person's. */
function invalid(what: string): Refusal {
  const { instancePath = '', message = 'is not valid' } = isUserAttributes.firstError() ?? {}
  return badRequest('invalidValue', `${instancePath.slice(1) || what} ${message}`)
}

const KEPT_TEXT = { type: 'string' } as const
const isUser = validator<ScimUser>({
  type: 'object',
  required: ['id', 'userName', 'active', 'emails', 'createdAt', 'changedAt'],
  properties: {
    id: { type: 'string', minLength: 1 },
    externalId: { type: 'string', minLength: 1 },
    userName: { type: 'string', minLength: 1 },
    active: { type: 'boolean' },
    displayName: KEPT_TEXT,
    locale: KEPT_TEXT,
    name: {
      type: 'object',
      properties: { formatted: KEPT_TEXT, familyName: KEPT_TEXT, givenName: KEPT_TEXT, middleName: KEPT_TEXT },
    },
    emails: {
      type: 'array',
      items: {
        type: 'object',
        required: ['value'],
        properties: { value: KEPT_TEXT, type: KEPT_TEXT, primary: { type: 'boolean' }, display: KEPT_TEXT },
      },
    },
    createdAt: EPOCH_MILLIS,
    changedAt: EPOCH_MILLIS,
  },
})

/** People of one issuer, which `tag` names, by our own id; the index is the subject, `''` for people who have none. */
export function createUsersTable(tag: string): Table<ScimUser> {
  return {
    name: `scim-users-${tag}`,
    parse: (value) => (isUser(value) ? value : undefined),
    index: (user) => user.externalId ?? '',
  }
}

/** As people were kept until 0.1: of whatever issuer. */
export const olderUsersTable: Table<ScimUser> = { ...createUsersTable(''), name: 'scim-users' }
