// What a user of gorsejs would do, against the server named by the environment; what comes is printed as JSON.
const { Gorse } = require("gorsejs");

const endpoint = process.env.GORSE_ENDPOINT;
const secret = process.env.GORSE_SECRET;

async function refused(call) {
  try {
    return { came: await call() };
  } catch (error) {
    return { name: error.name, code: error.code, message: error.message };
  }
}

async function story() {
  const client = new Gorse({ endpoint, secret });
  const at = "2024-08-07T00:26:46Z";
  const told = {};
  told.insertUser = await client.insertUser({ UserId: "js1", Labels: ["a", "b"], Comment: "one" });
  told.insertUsers = await client.insertUsers([{ UserId: "js2" }, { UserId: "js3", Labels: ["c"] }]);
  told.getUser = await client.getUser("js1");
  told.updateUser = await client.updateUser("js1", { Comment: "changed" });
  told.userAfter = await client.getUser("js1");
  told.getUsers = await client.getUsers({ n: 2 });
  told.usersNext = await client.getUsers({ n: 2, Cursor: told.getUsers.Cursor });
  told.upsertItem = await client.upsertItem({
    ItemId: "jsitem", IsHidden: false, Labels: ["x"], Categories: ["d", "e"], Timestamp: at, Comment: "An item",
  });
  told.upsertItems = await client.upsertItems([
    { ItemId: "jsitem2", IsHidden: true, Timestamp: new Date(at), Categories: ["d"] },
    { ItemId: "jsitem3", IsHidden: false, Timestamp: at },
  ]);
  told.getItem = await client.getItem("jsitem");
  told.itemDate = await client.getItem("jsitem2");
  told.updateItem = await client.updateItem("jsitem", { IsHidden: true });
  told.insertItemCategory = await client.insertItemCategory("jsitem", "f");
  told.deleteItemCategory = await client.deleteItemCategory("jsitem", "d");
  told.itemAfter = await client.getItem("jsitem");
  told.getItems = await client.getItems({ n: 3 });
  told.deleteItem = await client.deleteItem("jsitem3");
  told.itemGone = await refused(() => client.getItem("jsitem3"));
  told.before = await client.getRecommend({ userId: "js1", cursorOptions: { n: 5 } });
  told.insertFeedbacks = await client.insertFeedbacks([
    { FeedbackType: "watch", UserId: "js1", ItemId: "i026", Timestamp: at },
  ]);
  told.after = await client.getRecommend({ userId: "js1", cursorOptions: { n: 5 } });
  told.page2 = await client.getRecommend({ userId: "js1", cursorOptions: { n: 3, offset: 2 } });
  told.category = await client.getRecommend({ userId: "js1", category: "Crime" });
  told.upsertFeedbacks = await client.upsertFeedbacks([
    { FeedbackType: "like", UserId: "js1", ItemId: "i001", Timestamp: at },
  ]);
  told.getFeedback = await client.getFeedback({ type: "like", userId: "js1", itemId: "i001" });
  told.getUserFeedback = await client.getUserFeedback("js1");
  told.getUserFeedbackByType = await client.getUserFeedbackByType("js1", "like");
  told.getItemFeedback = (await client.getItemFeedback("i026")).filter((one) => one.UserId === "js1");
  told.getItemFeedbackByType = await client.getItemFeedbackByType("i001", "like");
  told.getFeedbacks = await client.getFeedbacks(undefined, { n: 2 });
  told.getFeedbacksByType = await client.getFeedbacks("like", { n: 2 });
  told.deleteFeedback = await client.deleteFeedback({ type: "like", userId: "js1", itemId: "i001" });
  told.feedbackGone = await refused(() => client.getFeedback({ type: "like", userId: "js1", itemId: "i001" }));
  told.session = await client.getSessionRecommend(
    [{ FeedbackType: "watch", UserId: "nobody", ItemId: "i026", Timestamp: at }], { cursorOptions: { n: 4 } });
  told.neighbors = await client.getItemNeighbors({ itemId: "i026", cursorOptions: { n: 4 } });
  told.userNeighbors = await client.getUserNeighbors({ userId: "v001", cursorOptions: { n: 4 } });
  told.popular = await client.getPopular({ cursorOptions: { n: 4 } });
  told.latest = await client.getLatest({ category: "Crime", cursorOptions: { n: 4 } });
  told.deleteUser = await client.deleteUser("js2");
  told.userGone = await refused(() => client.getUser("js2"));
  told.badTime = await refused(() =>
    client.insertFeedbacks([{ FeedbackType: "watch", UserId: "u", ItemId: "i", Timestamp: "someday" }]));
  told.badKey = await refused(() => new Gorse({ endpoint, secret: "wrong" }).getUser("js1"));
  console.log(JSON.stringify(told));
}

story().catch((error) => {
  console.error(error);
  process.exit(1);
});
