/** Django's admin site behind Postern: it takes who is signed in from a header, and checks the Origin of its forms. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { chromiumPath, inChromium, launchChromium, newVisitor } from '../../e2e/browser/chromium.ts'
import { freePort } from '../../e2e/browser/demo.ts'
import { ALICE, type Behind, openAsAlice, startBehind } from './behind.ts'
import { installed } from './installed.ts'
import { type Running, startServer } from './process.ts'

const django = installed('django', { from: 'pypi', packages: ['Django==5.2.19'] })

const SITE = `
import sys
import django
from django.conf import settings

settings.configure(
    DEBUG=True,
    SECRET_KEY="opens nothing real",
    ALLOWED_HOSTS=[".localhost"],
    SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"),
    ROOT_URLCONF="__main__",
    STATIC_URL="/static/",
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}},
    INSTALLED_APPS=["django.contrib." + name for name in
        ("admin", "auth", "contenttypes", "sessions", "messages", "staticfiles")],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "__main__.PosternUser",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    AUTHENTICATION_BACKENDS=["django.contrib.auth.backends.RemoteUserBackend"],
    TEMPLATES=[{
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request",
            "django.contrib.auth.context_processors.auth", "django.contrib.messages.context_processors.messages"]},
    }],
)
django.setup()
from django.contrib import admin
from django.contrib.auth.middleware import RemoteUserMiddleware
from django.contrib.auth.models import User
from django.core.management import call_command
from django.urls import path

class PosternUser(RemoteUserMiddleware):
    header = "HTTP_X_POSTERN_CLAIM_EMAIL"

urlpatterns = [path("admin/", admin.site.urls)]
call_command("migrate", verbosity=0)
User.objects.create_superuser("${ALICE}")
call_command("runserver", "127.0.0.1:" + sys.argv[1], use_reloader=False)
`

describe.skipIf(!django.bin || !chromiumPath)(django.name(inChromium("Django's admin site behind Postern")), () => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-django-'))
  let server: Running
  let behind: Behind
  let overTls: Behind
  let browser: Browser
  beforeAll(async () => {
    writeFileSync(join(folder, 'site.py'), SITE)
    const port = await freePort()
    // -P: the folder's own site.py is not Python's.
    server = await startServer([`${django.bin}/python`, '-P', 'site.py', String(port)], port, { cwd: folder })
    behind = await startBehind(`http://127.0.0.1:${port}`)
    overTls = await startBehind(`http://127.0.0.1:${port}`, {}, 'https')
    browser = await launchChromium()
  })
  afterAll(async () => {
    await browser?.close()
    await overTls?.close()
    await behind?.close()
    await server?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  test.each(['http', 'https'])(
    'over %s alice is signed in by the header, and adds a group with a form',
    async (scheme) => {
      const { url } = scheme === 'https' ? overTls : behind
      const { page } = await newVisitor(browser, { ignoreHTTPSErrors: true })
      await openAsAlice(page, `${url}/admin/`)
      expect(await page.locator('#user-tools').innerText()).toMatch(/alice@example\.com/i)
      await page.goto(`${url}/admin/auth/group/add/`)
      await page.locator('#id_name').fill(`Reviewers ${scheme}`)
      const posted = page.waitForResponse((response) => response.request().method() === 'POST')
      await page.getByRole('button', { name: 'Save', exact: true }).click()
      expect((await posted).status()).toBe(302)
      await page.waitForURL(`${url}/admin/auth/group/`)
      expect(await page.locator('.messagelist').innerText()).toContain(`“Reviewers ${scheme}” was added successfully`)
    },
  )

  test('who sends that header without a session is nobody', async () => {
    const headers = { 'x-postern-claim-email': ALICE, 'X-Postern-Claim_Email': ALICE }
    const answer = await fetch(`${behind.publicUrl}/admin/`, { headers, redirect: 'manual' })
    expect(answer.status).toBe(302)
    expect(answer.headers.get('location')).toContain('/admin/login/')
  })
})
