import type { ComponentChildren } from 'preact'
import { describeDuration } from '../lib/duration.ts'
import type { Membership } from '../directory/model.ts'
import type { Span, WallTime } from '../types.ts'
import { elapsed } from '../lib/time.ts'
import type { PageModel } from './layout.tsx'

/** As much of a person as is known; `subject` when nothing friendlier is. */
export interface PersonModel {
  readonly name?: string
  readonly email?: string
  readonly subject: string
}

/** A membership as the directory keeps it, or that there is none. */
export type GroupsReading = Pick<Membership, 'groups' | 'freshAt' | 'source'> | 'unknown'

/** More groups than this are counted, not listed. */
const MAX_LISTED = 60

const SIGN_IN = 'your sign-in'
const SOURCES: Readonly<Record<string, string>> = { okta: 'Okta', claims: SIGN_IN, claim: SIGN_IN }

export function isFromSignIn(source: string): boolean {
  return SOURCES[source] === SIGN_IN
}

/** `Alice Example (alice@corp.example)`, or whatever part of it there is. */
export function Person({ name, email, subject }: PersonModel) {
  const [first, second] = [name, email, subject].filter((part) => part !== undefined)
  return (
    <>
      <strong>{first}</strong>
      {second !== undefined && second !== subject && (
        <>
          {' '}
          (<bdi>{second}</bdi>)
        </>
      )}
    </>
  )
}

/** Group names as tags, with a count instead of the rest of a long list. */
export function GroupNames({
  names,
  wanted = false,
}: {
  readonly names: readonly string[]
  readonly wanted?: boolean
}) {
  const more = names.length - MAX_LISTED
  return (
    <ul class="groups">
      {names.slice(0, MAX_LISTED).map((name) => (
        <li key={name} class={wanted ? 'wanted' : undefined}>
          {name}
        </li>
      ))}
      {more > 0 && <li key="">{`and ${more} more`}</li>}
    </ul>
  )
}

/** The groups of a person with where they were read and how long ago. */
export function Groups({ reading, now }: { readonly reading: GroupsReading; readonly now: WallTime }) {
  if (reading === 'unknown') return <p>They could not be read yet.</p>
  return (
    <>
      {reading.groups.length === 0 ? <p>None.</p> : <GroupNames names={reading.groups.map(({ name }) => name)} />}
      <p class="note">
        Read from {SOURCES[reading.source] ?? reading.source} {ago(elapsed(now, reading.freshAt))}.
      </p>
    </>
  )
}

export function ago(age: Span): string {
  return age < 1000 ? 'just now' : `${describeDuration(age)} ago`
}

/** Sentences of ours call the product what the operator calls it. */
export function named(sentence: string, { settings }: PageModel): string {
  return sentence.replaceAll('Postern', settings.productName)
}

/** A link that looks like a button. Only addresses of the web get through. */
export function ButtonLink({
  href,
  quiet = false,
  newTab = false,
  children,
}: {
  readonly href: string
  readonly quiet?: boolean
  readonly newTab?: boolean
  readonly children: ComponentChildren
}) {
  return (
    <a
      class={quiet ? 'button quiet' : 'button'}
      href={webAddress(href)}
      {...(newTab && { target: '_blank', rel: 'noopener' })}
    >
      {children}
    </a>
  )
}

/** Signing out changes something, so it is a POST with a token and never a link. */
export function SignOutForm({
  controlPrefix,
  csrfToken,
  returnTo,
  everywhereAt,
}: {
  readonly controlPrefix: string
  readonly csrfToken: string
  /** Where somebody else is to sign in afterwards. */
  readonly returnTo?: string | undefined
  /** Page that can end the other sessions; absent: this one. */
  readonly everywhereAt?: string | undefined
}) {
  return (
    <form method="post" action={`${controlPrefix}/sign_out`}>
      <input type="hidden" name="csrf" value={csrfToken} />
      {returnTo !== undefined && <input type="hidden" name="return_to" value={returnTo} />}
      <button type="submit" class="button">
        Sign out
      </button>
      {everywhereAt === undefined ? (
        <button type="submit" name="scope" value="everywhere" class="button quiet">
          Sign out everywhere
        </button>
      ) : (
        <ButtonLink href={everywhereAt} quiet>
          Sign out everywhere
        </ButtonLink>
      )}
    </form>
  )
}

/** http, https or a path on this host; `javascript:` and `//elsewhere` become the front page. */
export function webAddress(href: string): string {
  return /^(?:https?:\/\/|\/(?![/\\])|\/$)/i.test(href) ? href : '/'
}
