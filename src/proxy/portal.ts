/** What a person may open, for them to see. */
import type { Authenticate, ControlRequest } from '../authenticate/handlers.ts'
import type { OwnPrincipals } from './own-principals.ts'
import type { Generation, Reply, RequestFacts } from '../http/exchange.ts'
import { MAX_SEARCH, pageOf, pageReply } from '../pages/render.ts'
import { jsonReply } from '../pages/reply.ts'
import { type Application, createApplications, type FindApplications } from '../policy/applications.ts'
import { judge } from '../policy/judge.ts'
import { createRouteTable } from '../routing/table.ts'
import type { Principal } from '../policy/model.ts'
import type { Clock, Json, WallTime } from '../types.ts'
import { personOf, unauthenticated } from './respond.ts'

export interface Portal {
  page(request: ControlRequest): Promise<Reply>
  json(request: ControlRequest): Promise<Reply>
}

export interface PortalDeps {
  readonly ownPrincipals: OwnPrincipals
  readonly authenticate: Pick<Authenticate, 'startSignIn'>
  readonly clock: Clock
}

export function createPortal({ ownPrincipals, authenticate, clock }: PortalDeps): Portal {
  const known = new WeakMap<Generation, FindApplications>()

  function applicationsOf(generation: Generation): FindApplications {
    let found = known.get(generation)
    if (!found) known.set(generation, (found = createApplications(generation.live.routes, tableOf(generation))))
    return found
  }

  /** A program is told so; a person signs in, and comes back. */
  async function signedOut(request: ControlRequest): Promise<Reply> {
    const { facts, generation, origin } = request
    if (facts.wants === 'html') return authenticate.startSignIn(request, origin + facts.path + facts.query)
    return unauthenticated({ facts, origin, page: pageOf(generation, facts.id, clock.now()) })
  }

  return {
    async page(request) {
      const { facts, generation } = request
      const who = await ownPrincipals(request)
      const [first] = who
      if (!first) return signedOut(request)
      const now = clock.now()
      const { list, incomplete } = applicationsOf(generation)(who, facts, now)
      const search = searchOf(facts)
      const shown = search === '' ? list : list.filter(matching(search))
      return pageReply(
        pageOf(generation, facts.id, now),
        200,
        {
          kind: 'portal',
          person: personOf(first.identity),
          search,
          ...(incomplete && { incomplete }),
          ...(maySeeStatus(request, who, now) && { statusUrl: `${generation.live.naming.controlPrefix}/status` }),
          applications: shown.map(({ route: { name, description, logoUrl }, url, asksAgain }) => ({
            name,
            url,
            asksAgain,
            ...(description !== undefined && { description }),
            ...(logoUrl !== undefined && { logoUrl }),
          })),
        },
        // Of those that are shown: others would tell of what is not for this person.
        { imageOrigins: originsOf(shown) },
      )
    },

    async json(request) {
      const { facts, generation } = request
      const who = await ownPrincipals(request)
      if (who.length === 0) return signedOut(request)
      const { list, incomplete } = applicationsOf(generation)(who, facts, clock.now())
      const search = searchOf(facts)
      const routes = (search === '' ? list : list.filter(matching(search))).map(
        ({ route: { id, name, description, logoUrl }, url, asksAgain }): Json => ({
          id,
          name,
          type: 'http',
          from: new URL(url).origin,
          url,
          ...(description !== undefined && { description }),
          ...(logoUrl !== undefined && { logo_url: logoUrl }),
          ...(asksAgain && { sign_in_required: true }),
        }),
      )
      return jsonReply(200, { routes, incomplete: incomplete !== undefined })
    },
  }
}

/** Path of the portal for a link on this host; undefined on a host that nobody has configured, or that another process serves. */
export function portalPath({ fixed, live, routes }: Generation, { host, port }: RequestFacts): string | undefined {
  const [here, serves] =
    host === fixed.authenticateServiceUrl.hostname
      ? [true, fixed.services !== 'proxy']
      : [routes.originOf(host, port) !== undefined, fixed.services !== 'authenticate']
  return here && serves ? `${live.naming.controlPrefix}/` : undefined
}

/** Of all hosts, whichever of them this process serves. */
function tableOf({ fixed, live, routes }: Generation) {
  return fixed.services === 'all' ? routes : createRouteTable({ ...fixed, services: 'all' }, live)
}

/** Only at the sign-in service is there such a page. */
function maySeeStatus(
  { generation, facts, origin }: ControlRequest,
  who: readonly Principal[],
  now: WallTime,
): boolean {
  const { admin } = generation.live
  if (!admin || origin !== generation.fixed.authenticateServiceUrl.origin) return false
  const match = { kind: 'route', route: admin } as const
  return who.some((each) => judge(generation, facts, each, now, match).outcome === 'allow')
}

function searchOf({ query }: RequestFacts): string {
  return (new URLSearchParams(query).get('q') ?? '').slice(0, MAX_SEARCH).trim()
}

/** Every word, somewhere in the name, the description or the address. */
function matching(search: string): (application: Application) => boolean {
  const words = search.toLowerCase().split(/\s+/)
  return ({ route: { name, description = '' }, url }) => {
    const text = `${name} ${description} ${url}`.toLowerCase()
    return words.every((word) => text.includes(word))
  }
}

function originsOf(applications: readonly Application[]): readonly string[] {
  return applications.flatMap(({ route: { logoUrl } }) =>
    logoUrl === undefined || logoUrl.startsWith('data:') ? [] : [logoUrl],
  )
}
