import { assertNever } from '../errors.ts'
import type { Generation, Reply } from '../http/exchange.ts'
import { type AccessModel, accessPage, type Cell } from './access.tsx'
import { type ChooseProviderModel, chooseProviderPage } from './choose-provider.tsx'
import { type DeniedModel, deniedPage } from './denied.tsx'
import { type ErrorModel, errorPage } from './error.tsx'
import type { WallTime } from '../types.ts'
import type { PageModel } from './layout.tsx'
import { onwardHeaders } from './headers.ts'
import { BEGIN_HASH, beginPage, RETURN_HASH, returnPage } from './onward.tsx'
import { MAX_SEARCH, type PortalModel, portalPage } from './portal.tsx'
import { type ProgramDoneModel, type ProgramLoginModel, programDonePage, programLoginPage } from './program-login.tsx'
import { HTML, htmlReply } from './reply.ts'
import { type SessionOverModel, sessionOverPage } from './session-over.tsx'
import { type SignInFailedModel, signInFailedPage } from './sign-in-failed.tsx'
import { type SignOutModel, signOutPage } from './sign-out.tsx'
import { type SignedOutModel, signedOutPage } from './signed-out.tsx'
import { type AnswerModel, type StatusModel, statusPage } from './status.tsx'
import { type UnavailableModel, unavailablePage } from './unavailable.tsx'
import { type KnownSessions, type UserModel, userPage } from './user.tsx'

export type { PageModel } from './layout.tsx'
export type { AnswerModel, Cell, KnownSessions }
export { MAX_SEARCH }

type Own<Model> = Omit<Model, keyof PageModel>

/** Every page that Postern shows, with what is said on it. */
export type Page =
  | ({ readonly kind: 'choose-provider' } & Own<ChooseProviderModel>)
  | ({ readonly kind: 'denied' } & Own<DeniedModel>)
  | ({ readonly kind: 'error' } & Own<ErrorModel>)
  | ({ readonly kind: 'portal' } & Own<PortalModel>)
  | ({ readonly kind: 'program-done' } & Own<ProgramDoneModel>)
  | ({ readonly kind: 'program-login' } & Own<ProgramLoginModel>)
  | ({ readonly kind: 'session-over' } & Own<SessionOverModel>)
  | ({ readonly kind: 'sign-in-failed' } & Own<SignInFailedModel>)
  | ({ readonly kind: 'sign-out' } & Own<SignOutModel>)
  | ({ readonly kind: 'signed-out' } & Own<SignedOutModel>)
  | ({ readonly kind: 'status' } & Own<StatusModel>)
  | ({ readonly kind: 'unavailable' } & Own<UnavailableModel>)
  | ({ readonly kind: 'user' } & Own<UserModel>)

/** What every page needs: of the configuration in force, and of the request that it answers. */
export function pageOf({ live }: Pick<Generation, 'live'>, requestId: string, now: WallTime): PageModel {
  return { controlPrefix: live.naming.controlPrefix, requestId, now, settings: live.pages }
}

/** A page as a whole reply: the one place where pages are rendered. */
export function pageReply(
  common: PageModel,
  status: number,
  page: Page,
  options: Parameters<typeof htmlReply>[2] = {},
): Reply {
  const { logoUrl, faviconUrl } = common.settings
  const pictures = [logoUrl, faviconUrl, ...(options.imageOrigins ?? [])].flatMap((url) => url ?? [])
  return htmlReply(status, render(common, page), { ...options, imageOrigins: pictures })
}

/** A page instead of a redirect to the sign-in, which keeps the fragment. `back`: where the sign-in returns to, on this host. */
export function beginReply(next: string, back: string, cookies: Reply['headers']): Reply {
  return onwardReply(401, beginPage(next, back), BEGIN_HASH, cookies)
}

/** The page at `back`, which gives the fragment to the address that was asked for; elsewhere a redirect that our page makes. */
export function returnReply(next: string, cookies: Reply['headers'] = []): Reply {
  return onwardReply(200, returnPage(next), RETURN_HASH, cookies)
}

function onwardReply(status: number, body: string, scriptHash: string, cookies: Reply['headers']): Reply {
  return { status, headers: [HTML, ...onwardHeaders(scriptHash), ...cookies], body }
}

/** The access review: a page that no browser asks for, as a whole document. */
export function reviewDocument(model: AccessModel): string {
  return accessPage(model)
}

function render(common: PageModel, page: Page): string {
  switch (page.kind) {
    case 'choose-provider':
      return chooseProviderPage({ ...common, ...page })
    case 'denied':
      return deniedPage({ ...common, ...page })
    case 'error':
      return errorPage({ ...common, ...page })
    case 'portal':
      return portalPage({ ...common, ...page })
    case 'program-done':
      return programDonePage({ ...common, ...page })
    case 'program-login':
      return programLoginPage({ ...common, ...page })
    case 'session-over':
      return sessionOverPage({ ...common, ...page })
    case 'sign-in-failed':
      return signInFailedPage({ ...common, ...page })
    case 'sign-out':
      return signOutPage({ ...common, ...page })
    case 'signed-out':
      return signedOutPage({ ...common, ...page })
    case 'status':
      return statusPage({ ...common, ...page })
    case 'unavailable':
      return unavailablePage({ ...common, ...page })
    case 'user':
      return userPage({ ...common, ...page })
    default:
      return assertNever(page)
  }
}
