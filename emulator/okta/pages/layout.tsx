import type { ComponentChildren, VNode } from 'preact'
import { renderToString } from 'preact-render-to-string'
import { STYLE } from './style.ts'

const RING = 'M16 4.5a11.5 11.5 0 1 0 0 23 11.5 11.5 0 0 0 0-23zm0 6.5a5 5 0 1 1 0 10 5 5 0 0 1 0-10z'
const ICON = `data:image/svg+xml,${encodeURIComponent(
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path fill="#7a5fe0" fill-rule="evenodd" d="${RING}"/></svg>`,
)}`

/** A whole page; texts are escaped by construction. */
export function page(title: string, content: VNode): string {
  return `<!doctype html>${renderToString(<Document title={title}>{content}</Document>)}`
}

function Document({ title, children }: { readonly title: string; readonly children: ComponentChildren }): VNode {
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>{title}</title>
        <link rel="icon" href={ICON} />
        <style dangerouslySetInnerHTML={{ __html: STYLE }} />
      </head>
      <body>{children}</body>
    </html>
  )
}

/** The emulator's logo. */
export function Mark({ size }: { readonly size: number }): VNode {
  return (
    <svg class="mark" width={size} height={size} viewBox="0 0 32 32" fill="currentColor" aria-hidden="true">
      <path fill-rule="evenodd" d={RING} />
    </svg>
  )
}
