import { randomId } from '../../lib/crypto.ts'
import { yieldToEventLoop } from '../../lib/wait.ts'
import type { Clock, Logger } from '../../types.ts'
import { parseBody } from './body.ts'
import { MAX_PAGE } from './discovery.ts'
import { parseFilter } from './filter.ts'
import type { Detail, Kind } from './kinds.ts'
import type { MemberChange } from './members.ts'
import {
  badRequest,
  isRefusal,
  type Refusal,
  refuse,
  replyText,
  type Resource,
  type ScimRequest,
  type ScimResponse,
  URN,
} from './message.ts'
import { parseOperations } from './patch.ts'
import type { Decide, Registry } from './registry.ts'
import { epochMillis } from '../../lib/time.ts'

const DEFAULT_PAGE = 100

/** Answers the requests on one kind of resource: on the collection, or on the resource `id`. */
export interface Endpoint {
  collection(request: ScimRequest): Promise<ScimResponse>
  resource(request: ScimRequest, id: string): Promise<ScimResponse>
}

export function createEndpoint<T extends Resource>(deps: {
  readonly kind: Kind<T>
  readonly baseUrl: string
  readonly registry: Registry
  readonly clock: Clock
  readonly logger: Logger
}): Endpoint {
  const { kind, baseUrl, registry, clock, logger } = deps
  const { collection } = kind
  const missing: Refusal = { refused: 404, detail: `there is no such ${kind.name}` }

  // ---- reading

  async function list(query: URLSearchParams): Promise<ScimResponse> {
    const page = pageOf(query)
    if (isRefusal(page)) return refuse(page)
    const matches = matchesOf(query.get('filter'))
    if (matches && isRefusal(matches)) return refuse(matches)
    const { startIndex, count } = page
    const from = startIndex - 1
    const found = matches ? matches.slice(from, from + count) : collection.rows.page(from, count)
    const totalResults = matches ? matches.length : collection.rows.size
    const head = JSON.stringify({ schemas: [URN.list], totalResults, startIndex, itemsPerPage: found.length })
    const views: string[] = []
    for (const value of found) {
      views.push(await kind.view(value, detailOf(query, 'listed')))
      await yieldToEventLoop()
    }
    return replyText(200, `${head.slice(0, -1)},"Resources":[${views.join(',')}]}`)
  }

  /** undefined: no filter. */
  function matchesOf(filter: string | null): readonly T[] | Refusal | undefined {
    if (filter === null) return undefined
    const parsed = parseFilter(filter)
    const find = parsed && kind.filters.get(parsed.attribute)
    if (find) return find(parsed.value)
    const known = [...kind.filters.keys()].join(', ')
    return badRequest('invalidFilter', `a filter of ${kind.name}s must be one of ${known}, then eq "value"`)
  }

  async function read(id: string, query: URLSearchParams): Promise<ScimResponse> {
    const value = await registry.get(collection, id)
    return value ? replyText(200, await kind.view(value, detailOf(query, 'whole'))) : refuse(missing)
  }

  // ---- writing

  async function create({ body: text, query }: ScimRequest): Promise<ScimResponse> {
    const body = await parseBody(text)
    if (isRefusal(body)) return refuse(body)
    const members = await kind.members?.ofBody(body)
    if (members && isRefusal(members)) return refuse(members)
    const id = randomId()
    const created = await kind.write(
      id,
      () => unlessTaken(kind.create(body, id, epochMillis(clock.now())), undefined),
      members,
    )
    if (isRefusal(created)) return refuse(created)
    logger.info({ resource: kind.name, id }, 'scim: created')
    const location = `${baseUrl}/${kind.name}s/${id}`
    return replyText(201, await kind.view(created, detailOf(query, 'whole')), { location })
  }

  async function change(
    id: string,
    members: MemberChange | undefined,
    decide: (current: T) => T | Refusal,
    detail: Detail,
  ): Promise<ScimResponse> {
    const unlessGone: Decide<T> = (current) => (current ? unlessTaken(decide(current), current) : missing)
    const changed = await kind.write(id, unlessGone, members)
    if (isRefusal(changed)) return refuse(changed)
    logger.info({ resource: kind.name, id }, 'scim: changed')
    return replyText(200, await kind.view(changed, detail))
  }

  async function replace({ body: text, query }: ScimRequest, id: string): Promise<ScimResponse> {
    const body = await parseBody(text)
    if (isRefusal(body)) return refuse(body)
    const members = await kind.members?.ofBody(body)
    if (members && isRefusal(members)) return refuse(members)
    return change(id, members, (current) => kind.replace(current, body), detailOf(query, 'whole'))
  }

  /** Answers without members, which Okta does not need and which a push of one should not cost. */
  async function patch({ body: text }: ScimRequest, id: string): Promise<ScimResponse> {
    const body = await parseBody(text)
    if (isRefusal(body)) return refuse(body)
    const operations = parseOperations(body)
    if (isRefusal(operations)) return refuse(operations)
    const members = await kind.members?.ofOperations(operations)
    if (members && isRefusal(members)) return refuse(members)
    return change(id, members, (current) => kind.patch(current, operations), 'bare')
  }

  async function remove(id: string): Promise<ScimResponse> {
    if (!(await registry.remove(collection, id))) return refuse(missing)
    logger.info({ resource: kind.name, id }, 'scim: removed')
    return { status: 204, headers: { 'cache-control': 'no-store' }, body: '' }
  }

  /** Only a name that is new here can be refused: whoever has one already can always be deactivated. */
  function unlessTaken(value: T | Refusal, current: T | undefined): T | Refusal {
    if (isRefusal(value)) return value
    for (const { attribute, key } of kind.unique) {
      const name = key(value)
      if (name === undefined || (current && key(current) === name)) continue
      if (collection.rows.find(attribute, name).some(({ id }) => id !== value.id)) {
        return { refused: 409, scimType: 'uniqueness', detail: `another ${kind.name} has this ${attribute}` }
      }
    }
    return value
  }

  return {
    async collection(request) {
      switch (request.method) {
        case 'GET':
          return list(request.query)
        case 'POST':
          return create(request)
        default:
          return notAllowed('GET, POST')
      }
    },
    async resource(request, id) {
      switch (request.method) {
        case 'GET':
          return read(id, request.query)
        case 'PUT':
          return replace(request, id)
        case 'PATCH':
          return patch(request, id)
        case 'DELETE':
          return remove(id)
        default:
          return notAllowed('GET, PUT, PATCH, DELETE')
      }
    },
  }
}

export function notAllowed(allow: string): ScimResponse {
  return refuse({ refused: 405, detail: `the methods here are ${allow}` }, { allow })
}

/** RFC 7644 §3.4.2.4: what is below the least is the least. */
function pageOf(query: URLSearchParams): { readonly startIndex: number; readonly count: number } | Refusal {
  const startIndex = integer(query.get('startIndex') ?? '1')
  const count = integer(query.get('count') ?? String(DEFAULT_PAGE))
  return startIndex === undefined || count === undefined
    ? badRequest('invalidValue', 'startIndex and count must be integers')
    : { startIndex: Math.max(1, startIndex), count: Math.min(MAX_PAGE, Math.max(0, count)) }
}

function integer(text: string): number | undefined {
  return /^-?\d{1,9}$/.test(text) ? Number(text) : undefined
}

function detailOf(query: URLSearchParams, detail: Detail): Detail {
  const excluded = query.get('excludedAttributes')?.split(',') ?? []
  return excluded.some((name) => name.trim().toLowerCase() === 'members') ? 'bare' : detail
}
