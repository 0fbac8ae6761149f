import { type PageModel, renderPage } from './layout.tsx'
import { ButtonLink, Person, type PersonModel, webAddress } from './parts.tsx'

export interface PortalModel extends PageModel {
  readonly person: PersonModel
  /** What was looked for; `''`: nothing, and all are shown. */
  readonly search: string
  readonly applications: readonly ApplicationModel[]
  /** The groups of the person are unknown, so that some may be missing: for a moment, or until they sign in again. */
  readonly incomplete?: keyof typeof MISSING
  /** For operators. */
  readonly statusUrl?: string
}

export interface ApplicationModel {
  readonly name: string
  readonly url: string
  readonly description?: string
  readonly logoUrl?: string
  readonly asksAgain: boolean
}

const MISSING = {
  unknown:
    'Your groups could not be read, so applications that depend on them may be missing here. Load this page again in a moment.',
  'told-at-sign-in':
    'Your sign-in did not say which groups you are in, so applications that depend on them may be missing here. Sign out and sign in again; if that does not help, tell your administrator.',
} as const

/** Fewer than these are seen at a glance. */
const FEW = 6

/** Every application that the person may open. */
export function portalPage(model: PortalModel): string {
  const { person, search, applications, incomplete, controlPrefix } = model
  return renderPage(model, {
    title: 'Your applications',
    tone: 'good',
    badge: 'Signed in',
    heading: 'Your applications',
    children: (
      <>
        <p class="lead">
          You are signed in as <Person {...person} />.
        </p>
        {(search !== '' || applications.length > FEW) && (
          <form class="search" role="search" action={`${controlPrefix}/`}>
            <label for="q">Search</label>
            <input id="q" type="search" name="q" value={search} maxLength={MAX_SEARCH} autocomplete="off" />
            <button type="submit" class="button quiet">
              Search
            </button>
          </form>
        )}
        <section>
          {incomplete && <p>{MISSING[incomplete]}</p>}
          {applications.length > 0 ? (
            <ul class="apps">
              {applications.map((application) => (
                <Application key={application.url} {...application} />
              ))}
            </ul>
          ) : search !== '' ? (
            <p>
              Nothing that you may open is called “<bdi>{search}</bdi>”.
            </p>
          ) : (
            !incomplete && (
              <p>There is no application that you may open. Ask your administrator if there should be one.</p>
            )
          )}
        </section>
        <div class="actions">
          {search !== '' && (
            <ButtonLink href={`${controlPrefix}/`} quiet>
              Show all
            </ButtonLink>
          )}
          <ButtonLink href={`${controlPrefix}/account`} quiet>
            Your account
          </ButtonLink>
          {model.statusUrl !== undefined && (
            <ButtonLink href={model.statusUrl} quiet>
              Status
            </ButtonLink>
          )}
          <ButtonLink href={`${controlPrefix}/sign_out`} quiet>
            Sign out
          </ButtonLink>
        </div>
      </>
    ),
  })
}

/** Longer words are cut before they are looked for. */
export const MAX_SEARCH = 100

function Application({ name, url, description, logoUrl, asksAgain }: ApplicationModel) {
  const address = url.replace(/^https?:\/\//, '').replace(/\/$/, '')
  return (
    <li>
      <a href={webAddress(url)}>
        {logoUrl !== undefined && <img src={logoUrl} alt="" loading="lazy" />}
        <span>
          <strong>{name}</strong>
          {description !== undefined && <span>{description}</span>}
          <small>
            {[address === name ? [] : address, asksAgain ? 'asks you to sign in once more' : []].flat().join(' · ')}
          </small>
        </span>
      </a>
    </li>
  )
}
