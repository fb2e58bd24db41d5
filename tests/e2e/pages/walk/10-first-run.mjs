// The first minute: nobody can sign in yet.
export default {
  "without an admin every path leads to the set-up": async (walk) => {
    for (const path of ["/", "/providers?q=x", "/sign-in"]) {
      const page = await walk.open(path, { as: null });
      if (path !== "/sign-in") await page.waitForURL(`${walk.url}/admin/setup`);
      await walk.axe(page);
      await walk.close(page);
    }
  },
};
